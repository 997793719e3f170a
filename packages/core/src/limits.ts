/**
 * Every bound of the core, in one place: its unit is in its name, its reason beside it.
 * All of them can be set with the `limits` option of a resource server.
 */
export interface Limits {
  /** Longest token, in bytes of its compact form. Node's own header limit is 16 KiB; nothing longer can be a header. */
  readonly tokenBytes: number
  /** Deepest nesting of objects and lists in a token's header or claims: every walk over claims is bounded by it. */
  readonly jsonDepth: number
  /** Most actors in one chain. The actor-profile draft asks for at least 4; a longer chain is refused, never cut. */
  readonly actors: number
  /** Longest identifier (subject, actor, issuer, client, tenant, grant), in UTF-16 code units: it goes into logs and indexes. */
  readonly identifierCharacters: number
  /** Longest key id, in UTF-16 code units: it is an attacker's text until the signature holds. */
  readonly kidCharacters: number
  /** How long a rule's `when` or a requirement's `check` may take, in milliseconds. */
  readonly hookMilliseconds: number
  /** How long the answer's headers of a key set or metadata document may take, in milliseconds. */
  readonly fetchHeadersMilliseconds: number
  /** How long the whole fetch of a key set or metadata document may take, in milliseconds. */
  readonly fetchTotalMilliseconds: number
  /** Largest key set or metadata document, in bytes read from the stream. */
  readonly fetchBytes: number
  /** Most keys in one set: each of them is imported. */
  readonly keys: number
  /** How long a fetched key set is used before it is fetched again, in seconds. */
  readonly keysFreshSeconds: number
  /** How long after a fetch an unknown key id cannot cause another one, in seconds. */
  readonly unknownKeyCooldownSeconds: number
  /** What a caller is told to wait when our side is in trouble (`Retry-After`), in seconds. */
  readonly retryAfterSeconds: number
}

/** The limits that hold where the `limits` option says nothing; units as in {@link Limits}. */
export const DEFAULT_LIMITS: Limits = Object.freeze({
  tokenBytes: 16 * 1024,
  jsonDepth: 32,
  actors: 8,
  identifierCharacters: 1024,
  kidCharacters: 256,
  hookMilliseconds: 1000,
  fetchHeadersMilliseconds: 2000,
  fetchTotalMilliseconds: 3000,
  fetchBytes: 256 * 1024,
  keys: 64,
  keysFreshSeconds: 600,
  unknownKeyCooldownSeconds: 5,
  retryAfterSeconds: 5,
})

/** Default clock tolerance, in seconds: clocks of one data centre agree better than this. */
export const DEFAULT_CLOCK_TOLERANCE_SECONDS: number = 5

/** Largest clock tolerance that can be set, in seconds (RFC 9068 4 speaks of "a few minutes"). */
export const MAX_CLOCK_TOLERANCE_SECONDS = 300

/** How long every sink together may take to accept an event, in milliseconds. */
export const DEFAULT_AUDIT_TIMEOUT_MILLISECONDS = 250

/** Most verified tokens kept, in entries. */
export const DEFAULT_CACHE_ENTRIES = 10_000

/** Most memory that verified tokens may take, in (estimated) bytes. */
export const DEFAULT_CACHE_BYTES: number = 64 * 1024 * 1024

/** Most entries that a cache can be given: more than a `Map` can hold would fail later. */
export const MAX_CACHE_ENTRIES: number = 2 ** 24 - 1
