import { DEFAULT_LIMITS } from '@behalf/core'

/** A text that cannot be read as a signed JWT. */
export interface UnreadToken {
  /** An API that is configured for tokens of its kind may take it: what can be seen here is no reason to refuse it. */
  readonly mayBeTaken: boolean
  /** What it may be, in words that hold nothing of it. */
  readonly hint: string
}

/** RFC 6750 2.1. */
const BEARER = /^[A-Za-z0-9._~+/-]+=*$/

/** Tells by the shape alone what a text is that is no signed JWT. */
export function unreadToken(token: string): UnreadToken {
  const parts = token.split('.').length
  if (token.length > DEFAULT_LIMITS.tokenBytes) return refused(`it is longer than ${DEFAULT_LIMITS.tokenBytes} bytes`)
  if (/\s/.test(token)) return refused('there is white space in it: was it wrapped when it was copied?')
  if (parts === 3) {
    return refused(
      'its parts are not canonical base64url of JSON objects, or name a member twice, or ask for an extension (crit)',
    )
  }
  if (!BEARER.test(token)) return refused('there are characters in it that no token has: was more copied than the token?')
  if (parts === 5) {
    return taken('it has five parts, an encrypted token (JWE): an API with decryption opens it; this command does not')
  }
  if (parts > 1) return refused(`it has ${parts} parts instead of three`)
  return taken(
    'it has 1 part instead of three: an opaque token. An API with introspection asks the issuer about it; this command asks nobody',
  )
}

function refused(hint: string): UnreadToken {
  return { mayBeTaken: false, hint }
}

function taken(hint: string): UnreadToken {
  return { mayBeTaken: true, hint }
}
