import { execFile } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, type ServerProcess, startServerProcess } from './server-process.js'

/** A Redis of a test's own, on a free port of 127.0.0.1, in a directory of its own. What it was told since it last wrote its files is gone with a kill. */
export interface RedisServerUnderTest extends ServerProcess {
  readonly port: number
  /** `redis://127.0.0.1:<port>` */
  readonly url: string
  /** Asks it something over a connection of its own, with `redis-cli`. Errors come as text, too. */
  cli(...words: readonly string[]): Promise<string>
}

/** Options of {@link startRedisServer}. */
interface RedisServerOptions {
  /** Settings, as `redis-server --name value …`. Without any it writes no files by itself. */
  readonly settings?: Readonly<Record<string, string>>
  /** What `redis-cli` needs to be let in. */
  readonly cli?: readonly string[]
  /** Speaks TLS and nothing else. Files in PEM. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string }
}

/** Starts `redis-server`. Resolves when it answers. */
export async function startRedisServer({ settings = {}, cli = [], tls }: RedisServerOptions = {}): Promise<RedisServerUnderTest> {
  const directory = mkdtempSync(join(tmpdir(), 'behalf-redis-'))
  const port = await freePort()
  const secure = tls && {
    port: '0',
    'tls-port': String(port),
    'tls-cert-file': tls.certFile,
    'tls-key-file': tls.keyFile,
    'tls-auth-clients': 'no',
  }
  const own = { bind: '127.0.0.1', port: String(port), dir: directory, save: '', 'repl-diskless-sync-delay': '0' }
  const args = Object.entries({ ...own, ...secure, ...settings }).flatMap(([name, value]) => [`--${name}`, value])
  const server = await startServerProcess({
    program: 'redis-server',
    args,
    directory,
    port,
    greet(socket, done) {
      // It answers, be it with an error, and has loaded its files. With TLS: it takes connections.
      socket.once('connect', () => (tls === undefined ? socket.write('PING\r\n') : done(true)))
      socket.once('data', (text) => done(!text.toString().startsWith('-LOADING')))
    },
  })
  return {
    ...server,
    port,
    url: `redis://127.0.0.1:${port}`,
    async cli(...words) {
      const { stdout } = await promisify(execFile)('redis-cli', ['-p', String(port), ...cli, ...words])
      return stdout.trimEnd()
    },
  }
}
