import { PGlite } from '@electric-sql/pglite'
import pg from 'pg'

/** As much of PostgreSQL as this example needs. */
export interface Database {
  query<Row>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>
  close(): Promise<void>
}

/** A real database where there is one, and an embedded one, in memory, where there is none. */
export async function openDatabase(url: string | undefined): Promise<Database> {
  return url === undefined ? embedded(await PGlite.create()) : connected(new pg.Pool({ connectionString: url, max: 4 }))
}

function embedded(database: PGlite): Database {
  return {
    query: async <Row>(text: string, values: readonly unknown[] = []) => (await database.query<Row>(text, [...values])).rows,
    close: () => database.close(),
  }
}

function connected(pool: pg.Pool): Database {
  // A connection that breaks while nobody uses it must not end the process: the next query opens another one.
  pool.on('error', () => {})
  return {
    query: async <Row>(text: string, values: readonly unknown[] = []) => (await pool.query(text, [...values])).rows as Row[],
    close: () => pool.end(),
  }
}
