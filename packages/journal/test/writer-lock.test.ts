import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { LockWatch } from '../src/write/lock-watch.js'
import { acquireWriterLock } from '../src/write/writer-lock.js'
import { newDirectory } from './support/journals.js'

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** A process that is there and does nothing. */
async function otherProcess(): Promise<{ pid: number; kill: () => Promise<void> }> {
  const child = spawn(process.execPath, ['-e', 'process.stdout.write("up"); setInterval(() => {}, 60000)'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  children.push(child)
  await once(child.stdout as NonNullable<typeof child.stdout>, 'data')
  return {
    pid: child.pid as number,
    async kill() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** What our own process writes into a lock. */
async function ownHolder(): Promise<Record<string, unknown>> {
  const directory = newDirectory()
  await acquire(directory)
  return JSON.parse(readFileSync(join(directory, 'lock'), 'utf8')) as Record<string, unknown>
}

/** A directory with a lock of somebody else, who last said something so long ago. */
async function lockedBy(changes: Record<string, unknown>, silentMilliseconds = 0): Promise<string> {
  const directory = newDirectory()
  const path = join(directory, 'lock')
  writeFileSync(path, JSON.stringify({ ...(await ownHolder()), nonce: 'somebody-else', ...changes }))
  const seconds = (Date.now() - silentMilliseconds) / 1000
  utimesSync(path, seconds, seconds)
  return directory
}

const acquire = (directory: string, watch: LockWatch = new LockWatch()) => acquireWriterLock(directory, Date.now, watch)

const locked = { name: 'JournalError', code: 'locked' }
const linux = process.platform === 'linux'

test('one holder at a time, also within a process; free after release', async () => {
  const directory = newDirectory()
  const lock = await acquire(directory)
  await expect(acquire(directory)).rejects.toMatchObject(locked)
  await lock.refresh()
  await lock.release()
  await (await acquire(directory)).release()
  expect(readdirSync(directory)).toEqual([])
})

test('of many who come at once one has it', async () => {
  for (let times = 0; times < 20; times++) {
    const directory = times % 2 === 0 ? newDirectory() : await lockedBy({ pid: 999_999_999, started: '1' })
    const attempts = await Promise.allSettled(Array.from({ length: 8 }, () => acquire(directory)))
    expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(readdirSync(directory)).toEqual(['lock'])
  }
})

test('a process that runs holds its lock; once it is gone the lock is free', async () => {
  const other = await otherProcess()
  const started = linux ? startOf(other.pid) : ''
  const directory = await lockedBy({ pid: other.pid, started }, 3_600_000)
  await expect(acquire(directory)).rejects.toMatchObject(locked)
  await other.kill()
  await expect(acquire(directory)).resolves.toBeDefined()
})

test.runIf(linux)('a process that has got the id of a dead one holds nothing', async () => {
  const other = await otherProcess()
  await expect(acquire(await lockedBy({ pid: other.pid, started: '1' }))).resolves.toBeDefined()
})

test('a lock of an earlier boot is free', async () => {
  await expect(acquire(await lockedBy({ boot: 'an earlier one' }))).resolves.toBeDefined()
})

/** A watch whose time is the test's. */
function watchAt(): { readonly watch: LockWatch; pass(milliseconds: number): void } {
  let time = 0
  return {
    watch: new LockWatch(() => time),
    pass(milliseconds) {
      time += milliseconds
    },
  }
}

const touch = (path: string, seconds: number) => utimesSync(path, seconds, seconds)

test.each([
  ['another container', { namespace: 'pid:[1]' }],
  ['another machine', { host: `not-${hostname()}`, boot: 'another' }],
  ['a system that does not say when a process began', { started: '' }],
])('a holder in %s is alive as long as its lock changes, and dead ten seconds after', async (_, holder) => {
  const directory = await lockedBy(holder, 3_600_000) // whatever the clocks of the two say
  const { watch, pass } = watchAt()
  await expect(acquire(directory, watch)).rejects.toMatchObject(locked)
  pass(9_999)
  await expect(acquire(directory, watch)).rejects.toMatchObject(locked)
  touch(join(directory, 'lock'), 1)
  pass(9_999)
  await expect(acquire(directory, watch)).rejects.toMatchObject(locked)
  pass(10_000)
  await expect(acquire(directory, watch)).rejects.toMatchObject(locked)
  pass(1)
  await expect(acquire(directory, watch)).resolves.toBeDefined()
})

test('a turn at replacing a lock that nobody ends is over after ten seconds', async () => {
  const directory = await lockedBy({ pid: 999_999_999, started: '1' })
  writeFileSync(join(directory, 'lock-turn'), '')
  const { watch, pass } = watchAt()
  await expect(acquire(directory, watch)).rejects.toMatchObject(locked)
  pass(10_001)
  await expect(acquire(directory, watch)).rejects.toMatchObject(locked)
  await expect(acquire(directory, watch)).resolves.toBeDefined()
})

test('what fails around a lock does not keep it', async () => {
  const directory = newDirectory()
  mkdirSync(join(directory, 'lock-backup'))
  const lock = await acquire(directory)
  await lock.release()
  await expect(acquire(directory)).resolves.toBeDefined()
})

test('what was left by a process that was killed while it took the lock is removed in time', async () => {
  const directory = newDirectory()
  const [young, old] = [`lock-${randomUUID()}`, `lock-${randomUUID()}`]
  for (const [name, age] of [
    [young, 9],
    [old, 11],
  ] as const) {
    writeFileSync(join(directory, name), '')
    utimesSync(join(directory, name), Date.now() / 1000 - age, Date.now() / 1000 - age)
  }
  await acquire(directory)
  expect(readdirSync(directory).sort()).toEqual(['lock', young])
})

test.each(['', '{"pid":', '[]', 'null', '{"pid":1}'])(
  'half a lock (%j) is free when nobody has finished it for ten seconds',
  async (text) => {
    const directory = newDirectory()
    writeFileSync(join(directory, 'lock'), text)
    const { watch, pass } = watchAt()
    await expect(acquire(directory, watch)).rejects.toMatchObject(locked)
    pass(10_001)
    await expect(acquire(directory, watch)).resolves.toBeDefined()
  },
)

test('who was taken for dead learns of it, and does not take the lock of the living away', async () => {
  const directory = newDirectory()
  const first = await acquire(directory)
  const path = join(directory, 'lock')
  writeFileSync(path, readFileSync(path, 'utf8').replace(/"boot":"[^"]*"/, '"boot":"an earlier one"'))
  const second = await acquire(directory)
  await expect(first.refresh()).rejects.toMatchObject(locked)
  await first.release()
  await second.refresh()
})

/** Field 22 of `/proc/<pid>/stat`. */
function startOf(pid: number): string {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19] ?? ''
}
