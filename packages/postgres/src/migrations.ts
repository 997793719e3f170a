import { DEFAULT_TABLE, type TableName, tableNameAt } from './table-name.js'

/** A step of the table's making. Applied twice, it changes nothing: it may have been run by hand. */
export interface Migration {
  /** 1, 2, 3, … */
  readonly version: number
  /** One or more statements. */
  readonly sql: string
}

/**
 * What makes the table, in order, for whoever runs SQL by hand; `migrate()` runs it otherwise. A published migration never
 * changes.
 *
 * @param table as the option `table`
 * @throws {ConfigError} where it is not the name of a table
 */
export function migrations(table: string = DEFAULT_TABLE): readonly Migration[] {
  return migrationsOf(tableNameAt(table, 'the argument of migrations()'))
}

export function migrationsOf(name: TableName): readonly Migration[] {
  return MIGRATIONS.map((sql, index) => ({ version: index + 1, sql: sql(name) }))
}

const MIGRATIONS: readonly ((name: TableName) => string)[] = [
  ({ table, index }) => `create table if not exists ${table} (
  id text primary key,
  chain text not null,
  sequence bigint not null,
  time timestamptz,
  type text,
  request_id text,
  stage text,
  decision text,
  reason text,
  rule text,
  kind text,
  result text,
  issuer text,
  subject_issuer text,
  subject_id text,
  actor_issuer text,
  actor_id text,
  client_id text,
  tenant text,
  http_method text,
  http_route text,
  http_status integer,
  peer text,
  body text not null
);
create index if not exists ${index('chain')} on ${table} (chain, sequence);
create index if not exists ${index('time')} on ${table} (time);
create index if not exists ${index('subject')} on ${table} (subject_id, time);
create index if not exists ${index('actor')} on ${table} (actor_id, time);
create index if not exists ${index('request')} on ${table} (request_id);
create index if not exists ${index('refused')} on ${table} (time) where decision = 'refuse';
`,
]
