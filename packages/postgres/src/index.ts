/** An audit sink and a shipping target in PostgreSQL. */
export { migrate } from './migrate.js'
export { type Migration, migrations } from './migrations.js'
export type { PostgresTls } from './open-pool.js'
export type { PostgresOptions } from './options.js'
export type { PostgresClient, PostgresPool, PostgresQuery, PostgresResult } from './pool.js'
export { PostgresError } from './postgres-error.js'
export { type PostgresSinkOptions, postgresSink } from './postgres-sink.js'
export { postgresTarget } from './postgres-target.js'
