import { RevocationError } from '@behalf/core/sink-kit'
import { FAILURE_MESSAGES, failureCode, type RedisFailureCode } from './redis-failure.js'

/** Why something could not be revoked, or a set cannot be believed: what went wrong with Redis, or that the set holds its `maxEntries`, or this replica's copy. */
export type RedisRevocationReason = Exclude<RedisFailureCode, 'full'> | 'no_memory' | 'max_entries' | 'copy_full'

const MESSAGES: Readonly<Record<RedisRevocationReason, string>> = {
  ...FAILURE_MESSAGES,
  unanswered: 'Redis did not answer before the connection ended: whether anything was revoked is not known',
  unauthorized: 'Redis does not let the user in, or not do what is needed: see the README of @behalf/redis for its privileges',
  no_memory: 'Redis has no memory left: nothing was revoked. Raise its maxmemory',
  max_entries:
    'the set of revocations is full: nothing was revoked. Raise its maxEntries on every replica, or shorten the lifetime of tokens',
  copy_full: 'Redis holds more revocations than this replica may: give every replica the same maxEntries, or raise it',
  busy: 'too many revocations wait for Redis',
  closed: 'the set of revocations is closed',
}

/**
 * A {@link RevocationError} that says more. With the code `full` nothing was revoked; with `unavailable` that is not known. Its text is
 * fixed: no address, secret or key is in it, and it has no `cause`.
 */
export class RedisRevocationError extends RevocationError {
  /** Stable reason. `no_memory` and `max_entries` have the code `full`. */
  readonly reason: RedisRevocationReason

  constructor(reason: RedisRevocationReason) {
    super(reason === 'no_memory' || reason === 'max_entries' ? 'full' : 'unavailable')
    this.reason = reason
    this.message = MESSAGES[reason]
    Error.captureStackTrace(this, RedisRevocationError) // it begins with the text
  }
}

/** Any error as one that may be shown and logged. */
export function revocationError(error: unknown): RedisRevocationError {
  if (error instanceof RedisRevocationError) return error
  const code = failureCode(error, 'unanswered')
  return new RedisRevocationError(code === 'full' ? 'no_memory' : code)
}
