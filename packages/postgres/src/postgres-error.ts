/**
 * PostgreSQL did not take a batch, or could not be asked. The texts are fixed: none holds a password, a record, or what the
 * server or the library said.
 */
export class PostgresError extends Error {
  override readonly name = 'PostgresError'
  /** SQLSTATE of PostgreSQL (`42P01`), or the code of Node (`ECONNREFUSED`, `CERT_HAS_EXPIRED`). `null`: it has none. */
  readonly code: string | null

  constructor(message: string, code: string | null = null) {
    super(code === null ? message : `${message} (${code})`)
    this.code = code
  }
}

const LATE = 'PostgreSQL did not answer in time'

/** By SQLSTATE, whole or its class, or by the code of Node. The first that fits. */
const MESSAGES: readonly (readonly [code: RegExp, message: string])[] = [
  [/^42P01$/, 'the table of the audit log is not there: apply the migrations of @behalf/postgres'],
  [/^(42703|42P10)$/, 'the table of the audit log is of another version: apply the migrations of @behalf/postgres'],
  [/^42501$/, 'the user has not the privilege that is needed: INSERT on the table, or, for migrations, its ownership'],
  [/^25006$/, 'the server takes no writes: it is a standby, or the user is set to read only'],
  [/^28/, 'PostgreSQL does not let the user in: look at the name, the password, and pg_hba.conf'],
  [/^3D000$/, 'the database does not exist'],
  [/^3F000$/, 'the schema of the table does not exist'],
  [/^(22021|22P05)$/, 'a record holds a character that the database cannot keep: its encoding must be UTF8'],
  [/^53/, 'PostgreSQL has run out of disk, memory or connections'],
  [/^(57014|55P03|ETIMEDOUT)$/, LATE],
  [/^(08|57P)/, 'PostgreSQL ended the connection'],
  [/^(CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/, 'the certificate of the server was not accepted'],
  [/^E[A-Z_]+$/, 'PostgreSQL cannot be reached'],
]

/** Texts of `pg` where it gives no code; they are constants of the library. */
const TEXTS: readonly (readonly [text: string, message: string])[] = [
  ['timeout', LATE],
  ['Connection terminated', 'PostgreSQL ended the connection'],
  ['not queryable', 'PostgreSQL ended the connection'],
  ['SSL connection', 'the server does not speak TLS, which is needed over the network: turn on ssl there'],
  ['password must be a string', 'PostgreSQL asks for a password, and none was given'],
]

/** Any error as one that may be shown and logged. */
export function postgresError(error: unknown): PostgresError {
  if (error instanceof PostgresError) return error
  const { code: given, message: text } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown }
  const code = typeof given === 'string' && /^[A-Z0-9_]{4,64}$/.test(given) ? given : null
  if (code !== null) return new PostgresError(messageOf(code), code)
  const known = typeof text === 'string' ? TEXTS.find(([part]) => text.includes(part)) : undefined
  return new PostgresError(known?.[1] ?? OTHER)
}

const OTHER = 'PostgreSQL did not take the records'

function messageOf(code: string): string {
  return MESSAGES.find(([codes]) => codes.test(code))?.[1] ?? OTHER
}
