/** Plays what can go wrong with a record, and checks that it is found. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createTestIssuer } from '@behalf/testing'

const command = join(dirname(createRequire(import.meta.url).resolve('behalf/package.json')), 'dist', 'main.js')
const home = mkdtempSync(join(tmpdir(), 'behalf-example-'))
const directory = join(home, 'audit')
const key = join(home, 'key.pem')

/** Runs `behalf` as a person would. */
function behalf(...args: string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], { encoding: 'utf8' })
  process.stdout.write(`\n$ behalf ${args.join(' ')}\n${stdout}${stderr}`)
  return { status, output: stdout + stderr }
}

const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
const token = (actor: string) => issuer.token({ claims: { sub: 'ada', act: { sub: actor } } })

async function startApi(): Promise<{ readonly child: ChildProcess; readonly origin: string }> {
  const script = fileURLToPath(new URL('api.js', import.meta.url))
  const child = spawn(process.execPath, [script, issuer.issuer, issuer.audience, directory, key], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [origin] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return { child, origin }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = once(child, 'exit')
  child.kill(signal)
  await ended
}

try {
  const created = behalf('audit', 'key', key, '--name', 'orders.example.com/audit')
  assert.equal(created.status, 0)
  const publicKey = join(home, 'audit.pub')
  writeFileSync(publicKey, created.output.split('\n').find((line) => line.startsWith('orders.example.com/audit+')) ?? '')

  // 1. A call that is answered, and one in whose middle the process is killed.
  const first = await startApi()
  const headers = (actor: string) => ({ authorization: `Bearer ${token(actor)}` })
  const answered = await fetch(`${first.origin}/orders/7`, { headers: headers('support') })
  assert.equal(answered.status, 200)
  await answered.text()
  const slow = await fetch(`${first.origin}/export`, { headers: headers('agent') })
  await slow.body?.getReader().read() // the handler has begun its work
  await end(first.child, 'SIGKILL')

  // 2. The next start closes what nobody saw the end of.
  const second = await startApi()
  await end(second.child, 'SIGTERM')
  const shown = behalf('audit', 'show', directory)
  assert.match(shown.output, /support.*ada/)
  assert.match(shown.output, /unknown/)

  // 3. All of it holds.
  const checkpoint = join(home, 'checkpoint')
  const notes = readFileSync(`${key}.checkpoints`, 'utf8').split('\0').slice(0, -1)
  writeFileSync(checkpoint, notes.at(-1) ?? '')
  const verify = () => behalf('audit', 'verify', directory, '--key', publicKey, '--checkpoint', checkpoint)
  assert.equal(verify().status, 0)

  // 4. One word is changed.
  const [segment = ''] = readdirSync(directory).filter((name) => name.startsWith('journal-'))
  const path = join(directory, segment)
  const before = readFileSync(path, 'utf8')
  writeFileSync(path, before.replace('"decision":"allow"', '"decision":"refuse"'))
  assert.equal(verify().status, 1)

  // 5. Nothing is changed, but the end is missing.
  writeFileSync(path, before)
  for (const name of readdirSync(directory)
    .filter((each) => each.startsWith('journal-'))
    .slice(1))
    rmSync(join(directory, name))
  assert.equal(verify().status, 1)
  process.stdout.write('\nNothing was lost, and nothing was changed unseen. All as expected.\n')
} finally {
  await issuer.close()
  rmSync(home, { recursive: true, force: true })
}
