import { JetStreamApiError, type JetStreamManager, jetstreamManager, type StreamConfig } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { type ChainPosition, lookUpPosition } from './chain-position.js'
import { openConnection } from './connection.js'
import type { ConnectionSettings } from './connection-options.js'
import { NatsError } from './nats-error.js'
import { createPublisher, type Publisher } from './publish-window.js'
import { subjectOfAllChains, subjectOfChain } from './subject.js'

/** A connection, and the stream behind it. */
export interface StreamLink extends Publisher {
  readonly ackTimeoutMilliseconds: number
  /** Most bytes of one message, headers included, that the server takes. */
  readonly maxMessageBytes: number
  /** @throws {NatsError} `record_unfit` where the chain fits in no subject */
  subjectOf(chain: string): string
  /** Chains whose end was seen over this connection: by a question, or by acknowledgements since. */
  readonly seen: Set<string>
  /** Where a chain ends in the stream. */
  lookUp(chain: string): Promise<ChainPosition>
  /** Sequence of the stream's last message, whatever its subject. */
  lastSequence(): Promise<number>
  isOpen(): boolean
  /** Does not wait: a server that is paused would not answer. */
  close(): void
}

/**
 * Connects, and finds the stream.
 * @throws {NatsError} where that fails, or where the stream would lose or not acknowledge what it is sent
 */
export async function openStreamLink(settings: ConnectionSettings, subject: string): Promise<StreamLink> {
  const connection = await openConnection(settings)
  try {
    const manager = await managerOf(connection, settings)
    const stream = await findStream(manager, subject)
    return createLink(connection, manager, stream, settings, subject)
  } catch (error) {
    closeQuietly(connection)
    throw error
  }
}

/** JetStream's interface for streams, without asking whether the account has any: what is asked next says so. */
export function managerOf(connection: NatsConnection, settings: ConnectionSettings): Promise<JetStreamManager> {
  return jetstreamManager(connection, { timeout: settings.ackTimeoutMilliseconds, checkAPI: false })
}

/** Closes a connection without waiting, and without an error that nobody expects. */
export function closeQuietly(connection: NatsConnection): void {
  connection.close().catch(() => {})
}

/** Runs a question to JetStream; what the client throws becomes our own error. */
export async function asked<T>(question: Promise<T>): Promise<T> {
  try {
    return await question
  } catch (error) {
    if (error instanceof NatsError) throw error
    if (isNotEnabled(error)) throw new NatsError('stream_missing', { detail: 'this user has no JetStream' })
    throw error instanceof JetStreamApiError ? new NatsError('refused', { status: error.code }) : new NatsError('unanswered')
  }
}

/** Nobody answers for JetStream. The client does not export the class of this error. */
function isNotEnabled(error: unknown): boolean {
  return error instanceof Error && error.name === 'JetStreamNotEnabled'
}

/** The stream that takes every chain's subject. */
async function findStream(manager: JetStreamManager, subject: string): Promise<string> {
  const listening = subjectOfAllChains(subject)
  const names = await asked(manager.streams.names(listening).next())
  const [name] = names
  if (name === undefined) throw new NatsError('stream_missing', { detail: `nothing listens on ${listening}` })
  if (names.length > 1) throw new NatsError('stream_unfit', { detail: `several streams share ${listening}` })
  const { config } = await asked(manager.streams.info(name))
  const flaw = flawOf(config)
  if (flaw !== null) throw new NatsError('stream_unfit', { detail: flaw })
  return name
}

/** Why a stream is no log. `null`: it is one. */
export function flawOf(config: StreamConfig): string | null {
  if (config.no_ack) return 'it acknowledges nothing (no_ack)'
  if (config.retention !== 'limits') return `it drops messages that were read (retention ${config.retention})`
  if (config.max_msgs_per_subject > 0) return 'it keeps few messages of each subject (max_msgs_per_subject)'
  return null
}

function createLink(
  connection: NatsConnection,
  manager: JetStreamManager,
  stream: string,
  settings: ConnectionSettings,
  subject: string,
): StreamLink {
  const subjectOf = (chain: string) => subjectOfChain(subject, chain)
  return {
    ...createPublisher(connection),
    ackTimeoutMilliseconds: settings.ackTimeoutMilliseconds,
    maxMessageBytes: connection.info?.max_payload ?? 0,
    seen: new Set(),
    subjectOf,
    lookUp: (chain) => asked(lookUpPosition(manager, stream, subjectOf(chain))),
    lastSequence: async () => (await asked(manager.streams.info(stream))).state.last_seq,
    isOpen: () => !connection.isClosed(),
    close: () => closeQuietly(connection),
  }
}
