import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { link, lstat, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { JournalError, systemCodeOf } from '../journal-error.js'
import { readRegularFile } from '../read/read-regular-file.js'
import { type LockWatch, SILENCE_MILLISECONDS } from './lock-watch.js'

/** The right to write to a directory. */
export interface WriterLock {
  /** Says that the holder is alive. Rejects with `locked` where somebody else has taken the lock meanwhile. */
  refresh(): Promise<void>
  /** Gives the lock up, if it is still held. */
  release(): Promise<void>
}

/** Who holds a lock. A process id alone is not enough: ids come again after a restart, and every container has a process 1. */
interface Holder {
  readonly host: string
  /** The running kernel; changes with every boot. Empty where the system does not tell. */
  readonly boot: string
  /** The name space of process ids. Empty where the system does not tell. */
  readonly namespace: string
  readonly pid: number
  /** When the process began, in the kernel's ticks. Empty where the system does not tell. */
  readonly started: string
  readonly nonce: string
}

const LOCK_NAME = 'lock'
/** A lock on its way into place, or a turn at replacing one. */
const LEFTOVER = /^lock-(?:turn|[0-9a-f-]{36})$/

/** How often a holder should say that it is alive, in milliseconds. */
export const REFRESH_MILLISECONDS = 2_000

/**
 * Takes the lock of a directory. A holder on this machine is dead when its process is; one in another container or on another
 * machine, or on a system that does not say when a process began, when its lock has not changed for ten seconds of watching. File
 * systems without atomic hard links are not supported.
 * @param now milliseconds since the epoch
 * @param watch the same one at each attempt
 * @throws {JournalError} `locked` where another writer holds it
 */
export async function acquireWriterLock(directory: string, now: () => number, watch: LockWatch): Promise<WriterLock> {
  const path = join(directory, LOCK_NAME)
  const self = describeSelf()
  const own = join(directory, `${LOCK_NAME}-${self.nonce}`)
  try {
    await writeFile(own, JSON.stringify(self), { mode: 0o600, flag: 'wx' })
    if (!(await linked(own, path))) await replaceDead(path, own, watch)
  } finally {
    await rm(own, { force: true }).catch(() => {}) // a leftover does no harm, and is removed in time
  }
  await removeLeftovers(directory, now()).catch(() => {})
  return {
    async refresh() {
      if ((await holderAt(path))?.nonce !== self.nonce) throw locked()
      const seconds = now() / 1000
      await utimes(path, seconds, seconds)
    },
    async release() {
      if ((await holderAt(path))?.nonce === self.nonce) await rm(path, { force: true })
    },
  }
}

/** What a process left that was killed while it took the lock. */
async function removeLeftovers(directory: string, nowMilliseconds: number): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!LEFTOVER.test(name)) continue
    const path = join(directory, name)
    if (nowMilliseconds - (await lstat(path)).mtimeMs > SILENCE_MILLISECONDS) await rm(path, { force: true })
  }
}

/** Whether the lock is ours now: a hard link is made whole or not at all. */
async function linked(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path)
    return true
  } catch (error) {
    if (systemCodeOf(error) === 'EEXIST') return false
    throw error
  }
}

/**
 * Takes the place of a dead holder; throws where it is alive, or cannot be told from one that is. One at a time: between a look at the
 * lock and its replacement it must not change hands, and while it is replaced nobody else must find it free.
 */
async function replaceDead(path: string, own: string, watch: LockWatch): Promise<void> {
  const turn = `${path}-turn`
  if (!(await linked(own, turn))) {
    if (await watch.isSilent(turn)) await rm(turn, { force: true }) // its holder was killed in these few lines
    throw locked()
  }
  try {
    if (!(await exists(path))) throw locked() // it was given up meanwhile, and whoever comes first may have it
    const holder = await holderAt(path)
    if (holder === null ? !(await watch.isSilent(path)) : await isAlive(holder, path, watch)) throw locked()
    await rename(own, path)
  } finally {
    await rm(turn, { force: true })
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false
    throw error
  }
}

async function isAlive(holder: Holder, path: string, watch: LockWatch): Promise<boolean> {
  const self = describeSelf()
  if (holder.host === self.host && holder.boot !== self.boot) return false
  const canBeSeen = holder.host === self.host && holder.namespace === self.namespace
  if (canBeSeen && !isRunning(holder)) return false
  if (canBeSeen && holder.started !== '') return true
  return !(await watch.isSilent(path)) // an id alone comes again
}

function isRunning({ pid, started }: Holder): boolean {
  if (started !== '') return started === startOf(String(pid))
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCodeOf(error) === 'EPERM' // it runs, as another user
  }
}

/** `null`: nobody can be read from it. */
async function holderAt(path: string): Promise<Holder | null> {
  try {
    const holder = JSON.parse((await readRegularFile(path)).toString('utf8')) as Holder | null
    return Number.isSafeInteger(holder?.pid) && typeof holder?.nonce === 'string' ? holder : null
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof JournalError || systemCodeOf(error) === 'ENOENT') return null
    throw error
  }
}

function describeSelf(): Holder {
  return {
    host: hostname(),
    boot: told(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    namespace: told(() => readlinkSync('/proc/self/ns/pid')),
    pid: process.pid,
    started: startOf('self'),
    nonce: randomUUID(),
  }
}

/** Field 22 of `/proc/<pid>/stat`; the command before it stands in parentheses and may hold anything. */
function startOf(pid: string): string {
  return told(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return /^[ZX]/.test(fields[0] ?? '') ? '' : (fields[19] ?? '') // a process that has ended, and that nobody has asked about yet
  })
}

function told(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}

function locked(): JournalError {
  return new JournalError('locked', 'another process writes to this journal: give each process a directory of its own')
}
