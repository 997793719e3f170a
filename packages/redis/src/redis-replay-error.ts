import { ErrorReply } from '@redis/client'

/** Why it cannot be said whether a proof was used. */
export type RedisReplayErrorCode =
  /** No server answers, or not in time: also where it does not speak TLS, and is waited for. */
  | 'unreachable'
  /** The server refuses the credentials, or what their user asks for. */
  | 'unauthorized'
  /** The server's certificate is not trusted, TLS fails otherwise, or a file of certificates cannot be read. */
  | 'tls_failed'
  /** The connection broke, or fell silent, before the answer: whether the use was remembered is not known. */
  | 'unanswered'
  /** The server may drop keys that it must remember. */
  | 'eviction'
  /** The server is a replica: it takes no writes, and can be behind. */
  | 'replica'
  /** The server has no memory left. */
  | 'full'
  /** The proof could have been used before the server's memory begins. */
  | 'forgotten'
  /** Too many uses wait for their answers. */
  | 'busy'
  /** The server refused for another reason, or said something that is no answer. */
  | 'refused'
  /** The memory was closed. */
  | 'closed'

const MESSAGES: Readonly<Record<RedisReplayErrorCode, string>> = {
  unreachable: 'Redis does not answer: is it there, and does it speak TLS where the URL is rediss://?',
  unauthorized:
    'Redis does not let the user in, or not do what is needed: INFO, EVAL, EVALSHA, GET and SET on the keys of the prefix',
  tls_failed: 'TLS with Redis failed: its certificate is not trusted, or a file of certificates cannot be read',
  unanswered: 'Redis did not answer before the connection ended',
  eviction: 'Redis may drop what it must remember: set its maxmemory-policy to noeviction',
  replica: 'the Redis server is a replica: give the address of the primary',
  full: 'Redis has no memory left for used proofs: raise its maxmemory',
  forgotten: 'the proof is older than the memory of used proofs in Redis',
  busy: 'too many uses of proofs wait for Redis',
  refused: 'Redis refused, or its answer could not be understood: it must be Redis 6 or later, or Valkey',
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

/** By what the server said; before Redis 7, an error within a script stands inside another one. The first that fits. */
const REPLIES: readonly (readonly [text: RegExp, code: RedisReplayErrorCode])[] = [
  [/\bOOM command not allowed/, 'full'],
  [/\bREADONLY\b/, 'replica'],
  [/\b(?:NOAUTH|WRONGPASS|NOPERM)\b|invalid password|AUTH <password>|user executing the script/, 'unauthorized'],
  [/^(?:LOADING|MASTERDOWN|BUSY)\b/, 'unreachable'],
]

/** Codes of Node for certificates and handshakes that fail. */
const TLS_FAILURE = /^(?:CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/

/**
 * Any error as one that may be shown and logged: the server's own words, and the client's, are not kept.
 * @param otherwise what an error means that the server did not send
 */
export function replayError(error: unknown, otherwise: 'unreachable' | 'unanswered'): RedisReplayError {
  if (error instanceof RedisReplayError) return error
  if (error instanceof ErrorReply) {
    return new RedisReplayError(REPLIES.find(([text]) => text.test(error.message))?.[1] ?? 'refused')
  }
  const { code } = (error ?? {}) as { readonly code?: unknown }
  return new RedisReplayError(TLS_FAILURE.test(String(code)) ? 'tls_failed' : otherwise)
}
