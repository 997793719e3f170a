// A Koa application whose delegated calls are recorded, in a process of its own: in memory, in a bare file, or in a journal.
import { resourceServer } from '@behalf/koa'
import Koa from 'koa'
import { createGroupCommit } from './audit-floor.mjs'
import { openJournal } from './audit-journal.mjs'
import { guardOptions, recentEventsSink } from './exchange.mjs'
import { SCOPE } from './tokens.mjs'

const { kind, directory, environment } = JSON.parse(process.argv[2])
const SINKS = {
  memory: recentEventsSink,
  'bare group commit': () => createGroupCommit(directory),
  journal: () => openJournal(directory),
}
const sink = await SINKS[kind]()
let served = 0
let accepted = 0

/** What was accepted is counted: a sink that takes nothing would be the fastest. */
const counting = {
  write(event) {
    const answer = sink.write(event)
    if (answer === undefined) accepted++
    else answer.then(() => accepted++).catch(() => {}) // whoever waits for it is told
    return answer
  },
}

const api = resourceServer(guardOptions(environment, counting))
const app = new Koa()
app.silent = true
app.use(api.authenticate())
app.use(api.guard({ scopes: SCOPE }))
app.use((context) => {
  served++
  context.body = { orders: ['a-1', 'a-2'] }
})
const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
server.keepAliveTimeout = 0 // while the other server is asked, connections to this one rest

process.on('message', async () => {
  await sink.flush?.()
  await new Promise((resolve) => setImmediate(resolve)) // what was flushed is counted one turn later
  process.send({ served, accepted })
})
process.once('disconnect', () => process.exit(0))
