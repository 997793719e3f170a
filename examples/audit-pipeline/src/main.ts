/** Runs API and reader as two processes with a pipe between them, makes some calls, and checks what the reader tells. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { createTestIssuer } from '@behalf/testing'

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url))

const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
const api = spawn(process.execPath, [script('api.js'), issuer.issuer, issuer.audience], { stdio: ['ignore', 'pipe', 'inherit'] })
const reader = spawn(process.execPath, [script('reader.js')], { stdio: ['pipe', 'pipe', 'inherit'] })
const ended = Promise.all([exitOf(api), exitOf(reader)])
const told = text(reader.stdout)
api.stdout.pipe(reader.stdin)
const log: { readonly msg?: string; readonly port?: number; readonly actor?: string }[] = []
const logLines = createInterface({ input: api.stdout }).on('line', (line) => log.push(JSON.parse(line)))

try {
  const origin = await originOf()
  const token = (actor: string) => issuer.token({ claims: { sub: 'ada', act: { sub: actor } } })
  const call = async (bearer: string, method: string, path: string, status: number) => {
    const headers = { authorization: `Bearer ${bearer}` }
    const response = await fetch(`${origin}${path}`, { method, headers, signal: AbortSignal.timeout(10_000) })
    await response.text()
    assert.equal(response.status, status, `${method} ${path}`)
  }
  await call(issuer.token(), 'GET', '/orders', 200) // direct: nobody acts for anybody, so by default nothing is recorded
  await call(token('helper'), 'GET', '/orders', 200)
  await call(token('helper'), 'POST', '/orders', 500)
  for (let times = 0; times < 3; times++) await call(token('meddler'), 'POST', '/password', 403)
  await call(token('admin\nadmin as ada, GET /forged: 200'), 'GET', '/orders', 401) // a name that would forge a line is no name
} finally {
  api.kill('SIGTERM')
}

const exitCodes = await ended
logLines.close()
await issuer.close()
const story = await told
process.stdout.write(story)

assert.deepEqual(exitCodes, [0, 0])
assert.deepEqual(story.trimEnd().split('\n'), [
  'helper as ada, GET /orders: 200 completed (rule helpers)',
  'helper as ada, POST /orders: 500 failed (rule helpers)',
  'meddler as ada, POST /password: 403 refused (delegation_forbidden)',
  'meddler as ada, POST /password: 403 refused (delegation_forbidden)',
  'meddler as ada, POST /password: 403 refused (delegation_forbidden)',
  '(nobody proven), GET (before routing): 401 refused (delegation_malformed)',
])
assert.deepEqual(
  log.filter(({ msg }) => msg === 'many refusals').map(({ actor }) => actor),
  ['meddler'],
)
process.stdout.write('\nThe reader told every delegated call, and the API noticed the meddler itself. All as expected.\n')

/** Where the API listens, from its log. */
async function originOf(): Promise<string> {
  for (;;) {
    const port = log.find(({ msg }) => msg === 'listening')?.port
    if (port !== undefined) return `http://127.0.0.1:${port}`
    await Promise.race([once(logLines, 'line'), ended.then(() => assert.fail('the API ended before it listened'))])
  }
}

async function exitOf(child: ChildProcess): Promise<unknown> {
  const [code, signal] = await once(child, 'exit')
  return code ?? signal
}
