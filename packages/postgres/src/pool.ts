/** What is needed of a `Pool` of `pg`. */
export interface PostgresPool {
  /** Resolves with a client of one's own, until it is released. */
  connect(): Promise<PostgresClient>
  /** Hears of connections that were lost while nobody used them. */
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** What is needed of a `PoolClient` of `pg`. */
export interface PostgresClient {
  /** Sends one statement; several where it has no values. */
  query(query: PostgresQuery): Promise<PostgresResult>
  /** Hears of a lost connection, and of what the server has to say beside its answers. */
  on(event: 'error' | 'notice', listener: (message: { readonly code?: string | undefined }) => void): unknown
  /** Hears no longer. */
  off(event: 'error' | 'notice', listener: (message: { readonly code?: string | undefined }) => void): unknown
  /** Gives it back; with `true`, its connection is closed. */
  release(destroy?: boolean): void
}

/** A statement, as `pg` takes it. */
export interface PostgresQuery {
  /** SQL. */
  readonly text: string
  /** Of `$1`, `$2`, … */
  readonly values?: unknown[]
  /** How long the answer may take, in milliseconds. */
  readonly query_timeout?: number
}

/** An answer, as `pg` gives it. */
export interface PostgresResult {
  /** Rows that were inserted, or read. */
  readonly rowCount: number | null
  /** Rows that were read. */
  readonly rows: readonly unknown[]
}
