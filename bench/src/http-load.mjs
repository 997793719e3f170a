// The load, in a process of its own: autocannon, 32 connections, and every token of a pool at most once.
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import autocannon from 'autocannon'
import { TARGET } from './dpop-target.mjs'
import { quantile } from './rounds.mjs'

const CONNECTIONS = 32

/** Told to the parent while there is still enough for what goes out until it reacts. */
const RESERVE = 500

/** @type {Map<string, Buffer[]>} the requests of a file of credentials, made once and used against every server */
const requestsOf = new Map()

function readRequests(file) {
  if (!requestsOf.has(file)) {
    const lines = readFileSync(file, 'latin1').split('\n').filter(Boolean)
    requestsOf.set(file, lines.map(requestWith))
  }
  return requestsOf.get(file)
}

/** @param {string} line a token; behind a space the proof that goes with it */
function requestWith(line) {
  const [token, proof] = line.split(' ')
  const credentials =
    proof === undefined
      ? ['Host: api.bench.example', `Authorization: Bearer ${token}`]
      : [`Host: ${new URL(TARGET).host}`, `Authorization: DPoP ${token}`, `DPoP: ${proof}`]
  const lines = ['GET /orders HTTP/1.1', 'Connection: keep-alive', ...credentials]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

let load = null

function start({ port, file, from = 0, to = null }) {
  const requests = readRequests(file)
  const clients = []
  const statuses = {}
  let latencies = []
  let next = from
  let low = false
  let stopping = false
  const nextRequest = (client) => {
    if (to === null) return requests[next++ % requests.length]
    if (next >= to - Math.min(RESERVE, (to - from) / 4) && !low) {
      low = true
      process.send({ low: true })
    }
    if (next < to) return requests[next++]
    stopping = true
    client.destroy() // a token that came again would not be a new one
    return Buffer.alloc(0)
  }
  const tracker = autocannon(
    {
      url: `http://127.0.0.1:${port}`,
      connections: CONNECTIONS,
      duration: 600,
      sampleInt: 50,
      // Autocannon builds a connection's requests in advance, for each connection alone; this shares one list among all.
      setupClient(client) {
        clients.push(client)
        client.getRequestBuffer = () => nextRequest(client)
      },
    },
    (error) => process.send(error ? { failure: error.message } : { ended: true, statuses }),
  )
  tracker.on('response', (_client, status, _bytes, milliseconds) => {
    statuses[status] = (statuses[status] ?? 0) + 1
    latencies.push(milliseconds)
  })
  tracker.on('reqError', (error) => {
    if (!stopping) statuses[error.message] = (statuses[error.message] ?? 0) + 1
  })
  load = {
    mark() {
      latencies = []
      load.cpu = process.cpuUsage()
      load.at = performance.now()
    },
    result() {
      const { user, system } = process.cpuUsage(load.cpu)
      const busy = (user + system) / 1000 / (performance.now() - load.at)
      return { busy, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) }
    },
    stop() {
      stopping = true
      for (const client of clients) client.destroy()
    },
  }
}

process.on('message', ({ command, ...given }) => {
  if (command === 'prepare') {
    readRequests(given.file)
    process.send({ prepared: true })
  } else if (command === 'forget') requestsOf.delete(given.file)
  else if (command === 'start') start(given)
  else if (command === 'mark') load.mark()
  else if (command === 'result') process.send({ result: load.result() })
  else if (command === 'stop') load.stop()
})
process.once('disconnect', () => process.exit(0))
