/**
 * Every bound that an application may want to move: its unit is in its name, its reason beside it. All of them can be set with
 * the `limits` option of a resource server. What is below {@link DEFAULT_LIMITS} is set elsewhere, or follows from Node.
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
  /** How long a fetch of keys may take as a whole, discovery included, in milliseconds: so long a request can wait. */
  readonly fetchTotalMilliseconds: number
  /** Largest key set or metadata document, in bytes read from the stream. */
  readonly fetchBytes: number
  /** Most keys in one set: each of them is imported. */
  readonly keys: number
  /** How long a fetched document is fresh where its server does not say (`Cache-Control`), in seconds. */
  readonly keysFreshSeconds: number
  /** Shortest time for which a document is fresh, whatever its server says, in seconds: an issuer must not be asked on every call. */
  readonly keysFreshLeastSeconds: number
  /** Longest time for which a document is fresh, whatever its server says, in seconds: a removed key would work that long. */
  readonly keysFreshMostSeconds: number
  /** When keys are refreshed in the background, in percent of their time; up to a tenth of that earlier, so that not all ask at once. */
  readonly keysRefreshPercent: number
  /** Largest age of keys that prove direct calls while the issuer cannot be read, in seconds. Then 503. */
  readonly keysStaleSeconds: number
  /** The same for delegated calls, in seconds: an actor whose authority was taken away is the greater harm. */
  readonly keysStaleDelegatedSeconds: number
  /** Most fetches in a row, of one issuer, that unknown key ids can cause: they are anybody's text. */
  readonly unknownKeyFetches: number
  /** Seconds until unknown key ids can cause one more fetch, after {@link Limits.unknownKeyFetches}. */
  readonly unknownKeyFetchSeconds: number
  /** Most key ids of one issuer that are remembered as unknown. */
  readonly unknownKeys: number
  /** How long a key id is remembered as unknown, in seconds; a changed key set ends it. */
  readonly unknownKeySeconds: number
  /** How long a key id that is remembered as unknown cannot cause another fetch, in seconds: so long a new key can wait. */
  readonly unknownKeyAgainSeconds: number
  /** Longest pause after a first failed fetch, in seconds; it doubles with each further one. The pause itself is random. */
  readonly backOffFirstSeconds: number
  /** Longest pause after any failed fetch, in seconds. */
  readonly backOffMostSeconds: number
  /** Most issuers that are kept where `issuers` is a function: each of them holds keys. */
  readonly issuers: number
  /** How long an issuer that the function gave is used before the function is asked again, in seconds. */
  readonly issuerSeconds: number
  /** How long the function may take to answer, in milliseconds. */
  readonly issuerLookupMilliseconds: number
  /** Most values of `iss` that are remembered as unknown; they are anybody's text, and never take the place of an issuer. */
  readonly unknownIssuers: number
  /** How long an `iss` is remembered as unknown, in seconds: so long a new tenant can wait. */
  readonly unknownIssuerSeconds: number
  /** Longest proof of possession, in bytes of its compact form: a large RSA key and its signature fit. */
  readonly proofBytes: number
  /** How long after its `iat` a proof of possession is accepted, in seconds (RFC 9449 11.1: a short time); so long its use is remembered. */
  readonly proofSeconds: number
  /** How long a nonce for proofs is accepted, in seconds; clients are given the next one after half of it. */
  readonly nonceSeconds: number
  /** How long a shared memory of used proofs may take to answer, in milliseconds; then 503. */
  readonly replayMilliseconds: number
  /** Most uses of proofs that a single process remembers; then 503. Each takes some 150 bytes. */
  readonly replayEntries: number
  /** Largest status list token, in bytes read from the stream: a million tokens, every fiftieth of them revoked, take some 45 KB. */
  readonly statusListBytes: number
  /** Largest status list when it is inflated, in bytes: 32 MiB hold 268 million tokens of one bit each. */
  readonly statusListInflatedBytes: number
  /** Most lists of one issuer that are kept. */
  readonly statusLists: number
  /** Most memory that the lists of one issuer take, in bytes. Not less than one list can have. */
  readonly statusListMemoryBytes: number
  /** Shortest time for which a list is fresh, whatever it says itself, in seconds: its server must not be asked on every call. */
  readonly statusListFreshLeastSeconds: number
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
  keysFreshLeastSeconds: 60,
  keysFreshMostSeconds: 3600,
  keysRefreshPercent: 80,
  keysStaleSeconds: 3600,
  keysStaleDelegatedSeconds: 900,
  unknownKeyFetches: 3,
  unknownKeyFetchSeconds: 5,
  unknownKeys: 1024,
  unknownKeySeconds: 60,
  unknownKeyAgainSeconds: 5,
  backOffFirstSeconds: 1,
  backOffMostSeconds: 60,
  issuers: 1000,
  issuerSeconds: 300,
  issuerLookupMilliseconds: 2000,
  unknownIssuers: 1000,
  unknownIssuerSeconds: 60,
  proofBytes: 8 * 1024,
  proofSeconds: 60,
  nonceSeconds: 300,
  replayMilliseconds: 500,
  replayEntries: 250_000,
  statusListBytes: 4 * 1024 * 1024,
  statusListInflatedBytes: 32 * 1024 * 1024,
  statusLists: 100,
  statusListMemoryBytes: 128 * 1024 * 1024,
  statusListFreshLeastSeconds: 5,
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

/** Longest timer, in milliseconds: Node fires a longer one at once. */
export const LONGEST_TIMER_MILLISECONDS: number = 2 ** 31 - 1

/** Most different headers of proven tokens that are kept; an issuer has one for each key, and a stranger none. */
export const MAX_PROVEN_HEADERS = 1024

/** Most clients' keys that are kept ready for their next proof. */
export const MAX_PROOF_KEYS = 1024

/** Most different scope texts that are kept; clients ask for the same again and again. */
export const MAX_SCOPE_TEXTS = 256
