/**
 * An API with a journal, in a process that is to be killed. Imports the built packages: `npm test` builds them first. Says `warm`
 * when they are loaded, waits for its settings (`ChildSettings` of `e2e-child.ts`), and says where it listens.
 */
import { createPrivateKey } from 'node:crypto'
import { openSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import { createSystemFile, journalSink } from '@behalf/journal'
import express from 'express'

process.on('disconnect', () => process.exit(0))
process.once('message', start)
process.send({ warm: true })

function start({ journal, signingKeyPem, issuer, audience, jwks, effectsFile, checkpointFile, death, timeoutMilliseconds }) {
  const sink = journalSink({
    ...journal,
    signingKey: createPrivateKey(signingKeyPem),
    onCheckpoint(note) {
      writeFileSync(`${checkpointFile}.next`, note)
      renameSync(`${checkpointFile}.next`, checkpointFile) // a kill leaves the one or the other, whole
    },
    ...(death !== null && { createFile: deadlyFiles(death) }),
  })
  const api = resourceServer({
    issuers: [oauth({ issuer, audience, jwks })],
    delegation: [{ id: 'agents', kind: 'delegation', actor: { profile: 'ai_agent' }, scopes: 'all' }],
    audit: { sinks: [sink], record: 'refusals', timeoutMilliseconds },
  })
  const effects = openSync(effectsFile, 'a')
  const app = express()
  app.set('env', 'test') // keeps Express's error handler from printing
  app.use(api.authenticate())
  app.get('/direct', (_request, response) => void response.json({}))
  app.get('/delegated', (request, response) => {
    writeSync(effects, `${request.headers['x-request-id']}\n`) // the system has it now, whatever becomes of this process
    const wait = Number(request.headers['x-wait'])
    if (wait === 0) response.json({})
    else setTimeout(() => response.json({}), wait)
  })
  process.on('message', () => api.close().then(...report()))
  createServer(app).listen(0, '127.0.0.1', function listening() {
    process.send({ port: this.address().port })
  })
}

/** Tells the parent how a step ended. */
function report() {
  return [() => process.send({ closed: null }), (error) => process.send({ closed: String(error?.message) })]
}

/** Files whose n-th operation ends the process: before it, after it, or, of a write, in its middle. */
function deadlyFiles({ operation, count, when }) {
  let left = count
  const perform = async (name, act, half) => {
    const fatal = name === operation && --left === 0
    if (fatal && when === 'before') die()
    if (fatal && when === 'half') await half()
    else await act()
    if (fatal) die()
  }
  return async (path) => {
    let file = null
    const open = async () => {
      file = await createSystemFile(path)
    }
    await perform('create', open, open)
    return {
      write: (bytes) =>
        perform(
          'write',
          () => file.write(bytes),
          () => file.write(bytes.subarray(0, Math.floor(bytes.length / 2))),
        ),
      sync: () =>
        perform(
          'sync',
          () => file.sync(),
          async () => {},
        ),
      truncate: (bytes) =>
        perform(
          'truncate',
          () => file.truncate(bytes),
          async () => {},
        ),
      close: () =>
        perform(
          'close',
          () => file.close(),
          async () => {},
        ),
    }
  }
}

function die() {
  process.kill(process.pid, 'SIGKILL')
}
