import { ConfigError } from '@behalf/core'

/** The table, and the names that follow from it. */
export interface TableName {
  /** Quoted, with its schema if it has one. */
  readonly table: string
  /** Of the table that says which migrations were applied; quoted. */
  readonly migrations: string
  /** Of an index; quoted. An index is always in the schema of its table. */
  index(what: string): string
}

export const DEFAULT_TABLE = 'behalf_audit'

/** So short that the names of indexes fit into the 63 bytes of PostgreSQL, which cuts longer ones without a word. */
const IDENTIFIER = /^[a-z_][a-z0-9_]{0,39}$/

/** A table as it was configured: no identifier in it means anything else when it is quoted. */
export function tableNameAt(value: unknown, where: string): TableName {
  const parts = typeof value === 'string' ? value.split('.') : []
  const [name, schema, ...rest] = parts.reverse()
  if (name === undefined || rest.length > 0 || !parts.every((part) => IDENTIFIER.test(part))) {
    throw new ConfigError(
      `${where} must be a table or schema.table, each of lower-case letters, digits and "_", at most 40, and no digit first`,
    )
  }
  const quoted = (identifier: string) => `${schema === undefined ? '' : `"${schema}".`}"${identifier}"`
  return { table: quoted(name), migrations: quoted(`${name}_migrations`), index: (what) => `"${name}_${what}"` }
}
