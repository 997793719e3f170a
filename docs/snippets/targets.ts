// #region postgres
import { postgresSink } from '@behalf/postgres'

const sink = postgresSink({ connectionString: 'postgres://behalf_writer@db.example.com/audit' }) // password: PGPASSWORD

// #endregion postgres

export { sink }
