import { createPrivateKey, KeyObject } from 'node:crypto'
import { lstatSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, resolve, sep } from 'node:path'
import { ConfigError, functionAt, integerAt, membersOf, optional, stringAt, wordAt } from '@behalf/core/sink-kit'
import { type CreateFile, createSystemFile } from './journal-file.js'

/** Options of `journalSink()`. */
export interface JournalOptions {
  /** Where the journal stands, on a local disk: made with mode 0700 where it is missing. One process at a time writes to it. */
  readonly directory: string
  /**
   * Ed25519 private key that signs checkpoints: a `KeyObject`, or the path of a PEM file (PKCS 8) outside of the directory that only
   * its owner can read. `null`: nothing is signed, and whoever can write to the directory can write its history.
   */
  readonly signingKey: KeyObject | { readonly file: string } | null
  /**
   * First line of every checkpoint, and the name of its signature: what tells this log from others, for example
   * `orders.example.com/audit/replica-1`. No white space and no `+`. Default: `behalf/journal`.
   */
  readonly origin?: string
  /**
   * What becomes of a call whose record cannot be written now. `refuse` (default): its event is not accepted, and the call is
   * answered 503. `degrade`: it is accepted, written later if that is possible, and counted in a `gap` record if not.
   */
  readonly whenUnavailable?: 'refuse' | 'degrade'
  /** How long a decision may wait for the disk, in milliseconds; less than the API's `audit.timeoutMilliseconds`. 1 to 60,000. Default: 200. */
  readonly commitDeadlineMilliseconds?: number
  /** Most events that wait for the disk. Refused calls can use a quarter of it. At least 4. Default: 10,000. */
  readonly maxQueuedRecords?: number
  /** Most bytes of events that wait for the disk. At least 65,536. Default: 32 MiB. */
  readonly maxQueuedBytes?: number
  /** A segment that has grown to so many bytes is closed, and another begun. 4,096 to 1 GiB: a start reads the last one whole. Default: 64 MiB. */
  readonly maxSegmentBytes?: number
  /** A segment that is so many seconds old is closed, and another begun. At least 1. Default: 86,400 (a day). */
  readonly maxSegmentSeconds?: number
  /** At each start and whenever a segment is closed, the oldest are removed while all together have more bytes than this. `null` (default): never. */
  readonly retainBytes?: number | null
  /** At each start and whenever a segment is closed, those are removed whose last record is older than so many seconds, by the system's clock. `null` (default): never. */
  readonly retainSeconds?: number | null
  /** Longest time between a record and the checkpoint that covers it, in seconds. 1 to 3,600. Default: 1. */
  readonly checkpointSeconds?: number
  /** Most records between two checkpoints, give or take one write. 1 to 100,000. Default: 1,000. */
  readonly checkpointRecords?: number
  /**
   * Called with each checkpoint as soon as it is signed, so that a copy can be kept where the writer of this journal cannot reach it.
   * Not waited for; its errors become a process warning.
   */
  readonly onCheckpoint?: (note: string) => void | Promise<void>
  /** Refused calls of one (issuer, actor) that are written each second; ten seconds' worth may come at once. Beyond, they are counted. 1 to 10,000. Default: 10. */
  readonly refusalsPerSecond?: number
  /** Room that is kept so that a full disk can still be told of, in bytes. 16,384 to 1 GiB. Default: 1 MiB. */
  readonly reserveBytes?: number
  /** How long `close()` tries to write what waits, in milliseconds. Default: 5,000. */
  readonly closeTimeoutMilliseconds?: number
  /** Milliseconds since the epoch, for tests. Default: `Date.now`. */
  readonly now?: () => number
  /** How files are made, for tests of failing disks. Default: those of the operating system. */
  readonly createFile?: CreateFile
}

/** {@link JournalOptions}, checked, each with its value. */
export type JournalSettings = Required<Omit<JournalOptions, 'signingKey' | 'onCheckpoint'>> & {
  readonly signingKey: KeyObject | null
  readonly onCheckpoint: ((note: string) => void | Promise<void>) | null
}

const NAMES = [
  'directory',
  'signingKey',
  'origin',
  'whenUnavailable',
  'commitDeadlineMilliseconds',
  'maxQueuedRecords',
  'maxQueuedBytes',
  'maxSegmentBytes',
  'maxSegmentSeconds',
  'retainBytes',
  'retainSeconds',
  'checkpointSeconds',
  'checkpointRecords',
  'onCheckpoint',
  'refusalsPerSecond',
  'reserveBytes',
  'closeTimeoutMilliseconds',
  'now',
  'createFile',
]

const MIB = 1024 * 1024
const WHERE = 'journalSink()'
const OTHERS = 0o077

/** @throws {ConfigError} where an option is missing, unknown, or not what it must be */
export function resolveJournalOptions(options: JournalOptions): JournalSettings {
  const members = membersOf(options, WHERE, NAMES)
  const directory = resolve(stringAt(members['directory'], `${WHERE}.directory`))
  const whole = (name: string, fallback: number, least: number, most?: number): number =>
    optional(members, name, WHERE, (value, where) => integerAt(value, where, least, most), fallback)
  const bound = (name: string, least: number): number | null =>
    optional(members, name, WHERE, (value, where) => (value === null ? null : integerAt(value, where, least)), null)
  return Object.freeze({
    directory,
    signingKey: signingKeyAt(members['signingKey'], directory),
    origin: optional(members, 'origin', WHERE, originAt, 'behalf/journal'),
    whenUnavailable: optional(
      members,
      'whenUnavailable',
      WHERE,
      (value, where) => wordAt(value, where, ['refuse', 'degrade']),
      'refuse',
    ),
    commitDeadlineMilliseconds: whole('commitDeadlineMilliseconds', 200, 1, 60_000),
    maxQueuedRecords: whole('maxQueuedRecords', 10_000, 4),
    maxQueuedBytes: whole('maxQueuedBytes', 32 * MIB, 65_536),
    maxSegmentBytes: whole('maxSegmentBytes', 64 * MIB, 4_096, 1024 * MIB),
    maxSegmentSeconds: whole('maxSegmentSeconds', 86_400, 1),
    retainBytes: bound('retainBytes', 0),
    retainSeconds: bound('retainSeconds', 1),
    checkpointSeconds: whole('checkpointSeconds', 1, 1, 3_600),
    checkpointRecords: whole('checkpointRecords', 1_000, 1, 100_000),
    onCheckpoint: optional(members, 'onCheckpoint', WHERE, functionAt<(note: string) => void | Promise<void>>, null),
    refusalsPerSecond: whole('refusalsPerSecond', 10, 1, 10_000),
    reserveBytes: whole('reserveBytes', MIB, 16_384, 1024 * MIB),
    closeTimeoutMilliseconds: whole('closeTimeoutMilliseconds', 5_000, 1),
    now: optional(members, 'now', WHERE, functionAt<() => number>, Date.now),
    createFile: optional(members, 'createFile', WHERE, functionAt<CreateFile>, createSystemFile),
  })
}

/** A line of its own in a checkpoint, and the name of a key (C2SP signed-note). */
function originAt(value: unknown, where: string): string {
  const origin = stringAt(value, where)
  if (!/^[^\s+\p{Cc}\p{Cf}\p{Cs}]+$/u.test(origin))
    throw new ConfigError(`${where} must have no white space, no "+" and no control characters`)
  return origin
}

function signingKeyAt(value: unknown, directory: string): KeyObject | null {
  const where = `${WHERE}.signingKey`
  if (value === null) return null
  if (value === undefined)
    throw new ConfigError(`${where} is missing: give an Ed25519 private key, or null for a journal that nobody signs`)
  const key = value instanceof KeyObject ? value : keyFromFile(membersOf(value, where, ['file']), directory)
  if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519')
    throw new ConfigError(`${where} must be an Ed25519 private key`)
  return key
}

/** Whoever can read a journal must not get its key with it. */
function keyFromFile(members: Readonly<Record<string, unknown>>, directory: string): KeyObject {
  const where = `${WHERE}.signingKey.file`
  const path = resolve(stringAt(members['file'], where))
  if (isWithin(path, directory)) throw new ConfigError(`${where} lies in the journal's directory: keep it elsewhere`)
  let pem: string
  try {
    const stats = lstatSync(realpathSync(path))
    if (process.geteuid !== undefined && (stats.mode & OTHERS) !== 0)
      throw new ConfigError(`${where} is open to other users: chmod it to 0600`)
    pem = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError(`${where} cannot be read`)
  }
  try {
    return createPrivateKey(pem)
  } catch {
    throw new ConfigError(`${where} holds no private key in PEM (PKCS 8)`)
  }
}

function isWithin(path: string, directory: string): boolean {
  const real = (each: string): string => {
    try {
      return realpathSync(each)
    } catch {
      return each
    }
  }
  return (
    `${dirname(real(path))}${sep}`.startsWith(`${real(directory)}${sep}`) ||
    `${real(dirname(path))}${sep}`.startsWith(`${real(directory)}${sep}`)
  )
}
