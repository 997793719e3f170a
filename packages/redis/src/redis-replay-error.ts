import { FAILURE_MESSAGES, failureCode, type RedisFailureCode } from './redis-failure.js'

/** Why it cannot be said whether a proof was used: what went wrong with Redis, or that the proof could have been used before its memory begins. */
export type RedisReplayErrorCode = RedisFailureCode | 'forgotten'

const MESSAGES: Readonly<Record<RedisReplayErrorCode, string>> = {
  ...FAILURE_MESSAGES,
  unauthorized:
    'Redis does not let the user in, or not do what is needed: INFO, EVAL, EVALSHA, GET and SET on the keys of the prefix',
  full: 'Redis has no memory left for used proofs: raise its maxmemory',
  forgotten: 'the proof is older than the memory of used proofs in Redis',
  busy: 'too many uses of proofs wait for Redis',
  closed: 'the memory of used proofs is closed',
}

/** A use that cannot be judged. Its text is fixed: no address, secret or key is in it, and it has no `cause`. */
export class RedisReplayError extends Error {
  override readonly name = 'RedisReplayError'
  /** Stable reason. */
  readonly code: RedisReplayErrorCode

  constructor(code: RedisReplayErrorCode) {
    super(MESSAGES[code])
    this.code = code
  }
}

/** Any error as one that may be shown and logged. */
export function replayError(error: unknown): RedisReplayError {
  return error instanceof RedisReplayError ? error : new RedisReplayError(failureCode(error, 'unanswered'))
}
