// Delegated requests by a fixed schedule, in a process of its own, over connections that are kept.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { performance } from 'node:perf_hooks'
import { headersOf } from './audit-exchange.mjs'
import { onSchedule } from './audit-schedule.mjs'
import { quantile } from './rounds.mjs'

/** Far more than are under way at once while the server keeps up; beyond them a request waits, and its time runs. */
const CONNECTIONS = 256

/** What is not answered by then will not be. */
const PATIENCE_MILLISECONDS = 10_000

const tokens = readFileSync(process.argv[2], 'latin1').split('\n')
const pools = new Map()
let number = 0

function requestText() {
  const lines = Object.entries(headersOf(number)).map(([name, value]) => `${name}: ${value}`)
  const token = tokens[number++ % tokens.length]
  return `GET /orders HTTP/1.1\r\nHost: api.bench.example\r\nAuthorization: Bearer ${token}\r\n${lines.join('\r\n')}\r\n\r\n`
}

/** One connection: a request, its whole answer, the next request. */
class Connection {
  #socket
  #received = ''
  #answered = null

  constructor(socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('data', (text) => this.#take(text))
    socket.on('error', (error) => process.send({ failure: error.message }))
    socket.on('close', () => process.send({ failure: 'the server closed a connection' }))
  }

  ask(text, answered) {
    this.#answered = answered
    this.#socket.write(text, 'latin1')
  }

  #take(text) {
    this.#received += text
    const head = this.#received.indexOf('\r\n\r\n')
    if (head === -1) return
    const [, length] = /\r\ncontent-length: (\d+)/i.exec(this.#received) ?? []
    if (length === undefined) process.send({ failure: 'an answer does not say how long it is' })
    if (this.#received.length < head + 4 + Number(length)) return
    const status = Number(this.#received.slice(9, 12))
    this.#received = ''
    this.#answered(status)
  }
}

async function poolOf(port) {
  if (!pools.has(port)) {
    const connections = Array.from({ length: CONNECTIONS }, async () => {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      return new Connection(socket)
    })
    pools.set(port, await Promise.all(connections))
  }
  return pools.get(port)
}

/**
 * Requests that are due in the first `settleMilliseconds` are sent and not counted. `each`: what became of every request is told,
 * with the time since the epoch, in milliseconds, when it was due.
 */
async function run({ port, perSecond, milliseconds, settleMilliseconds = 0, each = false }) {
  const free = [...(await poolOf(port))]
  const waiting = []
  const answers = []
  let open = 0
  const start = performance.now()
  const send = (dueAt) => {
    open++
    waiting.push(dueAt)
    next()
  }
  const next = () => {
    if (waiting.length === 0 || free.length === 0) return
    const dueAt = waiting.shift()
    const connection = free.pop()
    connection.ask(requestText(), (status) => {
      open--
      free.push(connection)
      if (dueAt >= start + settleMilliseconds) answers.push({ dueAt, milliseconds: performance.now() - dueAt, status })
      next()
    })
  }
  const late = await onSchedule({ perSecond, milliseconds: settleMilliseconds + milliseconds, send })
  const behind = open
  const patience = performance.now() + PATIENCE_MILLISECONDS
  while (open > 0 && performance.now() < patience) await new Promise((resolve) => setTimeout(resolve, 5))
  if (open > 0) process.send({ failure: `${open} requests were never answered` })
  if (each) return answers.map(({ dueAt, ...rest }) => ({ dueAt: performance.timeOrigin + dueAt, ...rest }))
  return { ...summaryOf(answers), behind, ...late }
}

function summaryOf(answers) {
  const latencies = answers.map(({ milliseconds }) => milliseconds)
  const statuses = {}
  for (const { status } of answers) statuses[status] = (statuses[status] ?? 0) + 1
  return {
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    most: quantile(latencies, 1),
    answers: answers.length,
    statuses,
  }
}

process.on('message', async (given) => {
  if (given.connect) {
    await poolOf(given.connect)
    process.send({ connected: true })
  } else process.send({ result: await run(given) })
})
process.once('disconnect', () => process.exit(0))
process.send({ ready: true })
