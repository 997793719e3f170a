import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, type ServerProcess, startServerProcess } from './server-process.js'

/** A JetStream server of a test's own, on a free port of 127.0.0.1. */
export interface NatsServerUnderTest extends ServerProcess {
  readonly port: number
  /** `nats://127.0.0.1:<port>` */
  readonly url: string
  /** Its files, to be copied or put back while it is not running. */
  readonly store: string
}

/** Options of {@link startNatsServer}. */
interface NatsServerOptions {
  /** Lines for its configuration file: users, TLS. */
  readonly configuration?: string
}

/** Starts `nats-server` with JetStream and a store of its own. Resolves when it answers. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServerUnderTest> {
  const directory = mkdtempSync(join(tmpdir(), 'behalf-nats-'))
  const port = await freePort()
  const configuration = join(directory, 'server.conf')
  const store = join(directory, 'store')
  writeFileSync(
    configuration,
    `listen: 127.0.0.1:${port}\njetstream { store_dir: ${JSON.stringify(store)} }\n${options.configuration ?? ''}\n`,
  )
  const server = await startServerProcess({
    program: 'nats-server',
    args: ['-c', configuration],
    directory,
    port,
    greet: (socket, done) => socket.once('data', () => done(true)), // it speaks first
  })
  return { ...server, port, url: `nats://127.0.0.1:${port}`, store }
}
