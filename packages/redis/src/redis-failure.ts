import { ErrorReply } from '@redis/client'

/** What can go wrong with Redis, whatever it is used for. */
export type RedisFailureCode =
  /** No server answers, or not in time: also where it does not speak TLS, and is waited for. */
  | 'unreachable'
  /** The server refuses the credentials, or what their user asks for. */
  | 'unauthorized'
  /** The server's certificate is not trusted, TLS fails otherwise, or a file of certificates cannot be read. */
  | 'tls_failed'
  /** The connection broke, or fell silent, before the answer: what became of the command is not known. */
  | 'unanswered'
  /** The server may drop keys that it must remember. */
  | 'eviction'
  /** The server is a replica: it takes no writes, and can be behind. */
  | 'replica'
  /** The server has no memory left. */
  | 'full'
  /** Too many commands wait for their answers. */
  | 'busy'
  /** The server refused for another reason, or said something that is no answer. */
  | 'refused'
  /** The connections were closed. */
  | 'closed'

/** What they all say of it, where it is not about what Redis is used for. */
export const FAILURE_MESSAGES: Readonly<Record<Exclude<RedisFailureCode, 'unauthorized' | 'full' | 'busy' | 'closed'>, string>> =
  {
    unreachable: 'Redis does not answer: is it there, and does it speak TLS where the URL is rediss://?',
    tls_failed: 'TLS with Redis failed: its certificate is not trusted, or a file of certificates cannot be read',
    unanswered: 'Redis did not answer before the connection ended',
    eviction: 'Redis may drop what it must remember: set its maxmemory-policy to noeviction',
    replica: 'the Redis server is a replica: give the address of the primary',
    refused: 'Redis refused, or its answer could not be understood: it must be Redis 6 or later, or Valkey',
  }

/** A failure on its way to whoever gives it the words of what Redis is used for. */
export class RedisFailure extends Error {
  override readonly name = 'RedisFailure'
  readonly code: RedisFailureCode

  constructor(code: RedisFailureCode) {
    super(code)
    this.code = code
  }
}

/** By what the server said; before Redis 7, an error within a script stands inside another one. The first that fits. */
const REPLIES: readonly (readonly [text: RegExp, code: RedisFailureCode])[] = [
  [/\bOOM command not allowed/, 'full'],
  [/\bREADONLY\b/, 'replica'],
  [/\b(?:NOAUTH|WRONGPASS|NOPERM)\b|invalid password|AUTH <password>|user executing the script/, 'unauthorized'],
  [/^(?:LOADING|MASTERDOWN|BUSY)\b/, 'unreachable'],
]

/** Codes of Node for certificates and handshakes that fail. */
const TLS_FAILURE = /^(?:CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/

/**
 * What any error means: the server's own words, and the client's, are not kept.
 * @param otherwise what an error means that the server did not send
 */
export function failureCode(error: unknown, otherwise: 'unreachable' | 'unanswered'): RedisFailureCode {
  if (error instanceof RedisFailure) return error.code
  if (error instanceof ErrorReply) return REPLIES.find(([text]) => text.test(error.message))?.[1] ?? 'refused'
  const { code } = (error ?? {}) as { readonly code?: unknown }
  return TLS_FAILURE.test(String(code)) ? 'tls_failed' : otherwise
}
