import { ConfigError, integerAt, membersOf, optional, stringAt } from '@behalf/core/sink-kit'
import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream'
import { nanos } from '@nats-io/transport-node'
import { openConnection } from './connection.js'
import { CONNECTION_MEMBERS, connectionSettings, type NatsConnectionOptions } from './connection-options.js'
import { NatsError } from './nats-error.js'
import { asked, closeQuietly, flawOf, managerOf } from './stream-link.js'
import { DEFAULT_SUBJECT, subjectAt, subjectOfAllChains } from './subject.js'

/** Options of {@link ensureStream}. */
export interface EnsureStreamOptions extends NatsConnectionOptions {
  /** Name of the stream: 1 to 64 letters, digits, `_` and `-`. */
  readonly name: string
  /** As the target's `subject`; the stream listens on `<subject>.*`. Default `behalf.audit`. */
  readonly subject?: string
  /**
   * On how many servers each record is kept before it is acknowledged: 1, 3 or 5. With 1, an acknowledgement survives a kill of
   * the server, but no power cut unless the server has `sync_interval: always`. Must be given.
   */
  readonly replicas: 1 | 3 | 5
  /** Records are removed when they are older, in milliseconds. Default: never. */
  readonly maxAgeMilliseconds?: number
  /** Most bytes of the stream; a full one refuses further records. Default: no bound. */
  readonly maxBytes?: number
  /** For how long the server drops a message whose id it has seen, in milliseconds. Default 2 minutes. */
  readonly duplicateWindowMilliseconds?: number
}

const MEMBERS = [
  ...CONNECTION_MEMBERS,
  'name',
  'subject',
  'replicas',
  'maxAgeMilliseconds',
  'maxBytes',
  'duplicateWindowMilliseconds',
]
const NAME = /^[A-Za-z0-9_-]{1,64}$/
const REPLICAS: readonly unknown[] = [1, 3, 5]
const DEFAULT_DUPLICATE_WINDOW_MILLISECONDS = 120_000
const STREAM_NOT_FOUND = 10059

/**
 * Makes the stream that records go to, where it is missing: in files, removing nothing before its age, refusing records when full.
 * A stream that is there is left as it is, and must keep records at least as well. For whoever sets things up: it needs rights that
 * a target does not need.
 *
 * @returns whether the stream was made
 * @throws {ConfigError} where an option is not what it must be
 * @throws {NatsError} rejects with it: `stream_unfit` where the stream that is there keeps records less well; also where it fails otherwise
 */
export async function ensureStream(options: EnsureStreamOptions): Promise<boolean> {
  const where = 'ensureStream()'
  const members = membersOf(options, where, MEMBERS)
  const settings = connectionSettings(members, where)
  const wanted = wantedConfig(members, where)
  const connection = await openConnection(settings)
  try {
    const manager = await managerOf(connection, settings)
    const found = await findConfig(manager, wanted.name)
    if (found === null) await asked(manager.streams.add(wanted))
    else assertAsGood(found, wanted)
    return found === null
  } finally {
    closeQuietly(connection)
  }
}

type WantedConfig = Pick<
  StreamConfig,
  'name' | 'subjects' | 'num_replicas' | 'storage' | 'retention' | 'discard' | 'max_age' | 'max_bytes' | 'duplicate_window'
>

function wantedConfig(members: Readonly<Record<string, unknown>>, where: string): WantedConfig {
  const name = stringAt(members['name'], `${where}.name`)
  if (!NAME.test(name)) throw new ConfigError(`${where}.name must be 1 to 64 letters, digits, _ and -`)
  if (!REPLICAS.includes(members['replicas'])) throw new ConfigError(`${where}.replicas must be 1, 3 or 5`)
  const positive = (value: unknown, at: string) => integerAt(value, at, 1)
  const maxAge = optional(members, 'maxAgeMilliseconds', where, positive, 0)
  const window = optional(members, 'duplicateWindowMilliseconds', where, positive, DEFAULT_DUPLICATE_WINDOW_MILLISECONDS)
  return {
    name,
    subjects: [subjectOfAllChains(optional(members, 'subject', where, subjectAt, DEFAULT_SUBJECT))],
    num_replicas: members['replicas'] as number,
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_age: nanos(maxAge),
    max_bytes: optional(members, 'maxBytes', where, positive, -1),
    duplicate_window: nanos(maxAge === 0 ? window : Math.min(window, maxAge)), // the server refuses a longer one
  }
}

async function findConfig(manager: JetStreamManager, name: string): Promise<StreamConfig | null> {
  try {
    return (await manager.streams.info(name)).config
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return null
    return asked(Promise.reject(error))
  }
}

/** @throws {NatsError} naming what is less than was asked for */
function assertAsGood(found: StreamConfig, wanted: WantedConfig): void {
  const flaw = flawOf(found) ?? shortfallOf(found, wanted)
  if (flaw !== null) throw new NatsError('stream_unfit', { detail: flaw })
}

function shortfallOf(found: StreamConfig, wanted: WantedConfig): string | null {
  if (!wanted.subjects.every((subject) => found.subjects?.includes(subject)))
    return `it does not listen on ${wanted.subjects.join()}`
  if (found.storage !== wanted.storage) return 'it keeps records in memory (storage)'
  if (found.num_replicas < wanted.num_replicas) return `it has ${found.num_replicas} replica(s), not ${wanted.num_replicas}`
  if (isShorter(found.max_age, wanted.max_age)) return 'it removes records earlier (max_age)'
  if (found.discard !== wanted.discard && (found.max_bytes > 0 || found.max_msgs > 0))
    return 'it removes old records when full (discard)'
  return null
}

/** Of ages: 0 is for ever. */
function isShorter(one: number, other: number): boolean {
  return one !== 0 && (other === 0 || one < other)
}
