import { rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { CommandError, ioError } from '../command-error.js'
import { EXIT } from '../exit-codes.js'
import { metricsText, type ShipMetrics } from './metrics-text.js'

/** Where metrics can be read. */
export interface MetricsPlace {
  /** What they are from now on. */
  publish(metrics: ShipMetrics): void
  /** Writes what is not written yet, and frees the port. */
  close(): Promise<void>
}

const PORT = /^\d+$/
const MOST_PORT = 65_535
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * Opens a place for metrics: a port on loopback, at `/metrics`; or a file that is replaced whole each time, for a collector of
 * text files.
 * @throws {CommandError} where the port or file cannot be had
 */
export async function openMetrics(place: string | undefined): Promise<MetricsPlace> {
  if (place === undefined) return { publish() {}, close: async () => {} }
  if (!PORT.test(place)) return inFile(place)
  const port = Number(place)
  if (port < 1 || port > MOST_PORT)
    throw new CommandError(`--metrics: ${place} is no port: say one from 1 to ${MOST_PORT}, or a file`)
  return onPort(port)
}

async function onPort(port: number): Promise<MetricsPlace> {
  let text = ''
  const server = createServer((request, response) => {
    if (request.url !== '/metrics' || (request.method !== 'GET' && request.method !== 'HEAD')) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, { 'content-type': CONTENT_TYPE }).end(text)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new CommandError(`--metrics: port ${port} cannot be had (${error.code ?? 'no reason given'})`, EXIT.io))
    })
    server.listen({ port, host: '127.0.0.1' }, resolve)
  })
  return {
    publish(metrics) {
      text = metricsText(metrics)
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function inFile(path: string): Promise<MetricsPlace> {
  let wanted: string | null = ''
  let writing: Promise<void> | null = null
  let failure: unknown = null
  /** One write at a time, always of the latest. */
  const write = async (): Promise<void> => {
    while (wanted !== null) {
      const text = wanted
      wanted = null
      try {
        await writeFile(`${path}.new`, text)
        await rename(`${path}.new`, path)
      } catch (error) {
        failure ??= error
      }
    }
    writing = null
  }
  const begin = (): Promise<void> => {
    writing ??= write()
    return writing
  }
  await begin()
  if (failure !== null) throw ioError(failure, 'write the metrics to') ?? failure
  return {
    publish(metrics) {
      wanted = metricsText(metrics)
      void begin()
    },
    close: begin,
  }
}
