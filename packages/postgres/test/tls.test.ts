import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { postgresTarget } from '@behalf/postgres'
import { testRecord } from '@behalf/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import { type AuditDatabase, localhostCertificate, startAuditDatabase } from './support/audit-database.js'

let database: AuditDatabase
let ca: string

/** Delivers one record: whether the server saw TLS, or how it failed. */
async function outcome(change: (url: URL) => void, tls?: { readonly ca: string }): Promise<{ ssl: boolean } | string> {
  const url = new URL(database.writerUrl)
  url.hostname = 'localhost'
  change(url)
  const target = postgresTarget({ connectionString: url.href, ...(tls && { tls }) })
  try {
    await target.deliver([testRecord()])
    const sessions = 'pg_stat_ssl join pg_stat_activity using (pid)'
    const [session] = await database.sql<{ ssl: boolean }>(`select ssl from ${sessions} where usename = 'writer'`)
    return session ?? 'no session'
  } catch (error) {
    return (error as Error).message
  } finally {
    await target.close?.()
    while ((await database.sql("select 1 from pg_stat_activity where usename = 'writer'")).length > 0); // the next looks at its own
  }
}

describeWith('openssl', 'over TLS', () => {
  describeWith('postgres', '@behalf/postgres', () => {
    beforeAll(async () => {
      const certificate = localhostCertificate()
      ca = certificate.cert
      database = await startAuditDatabase({ tls: certificate })
    })
    afterAll(() => database?.stop())

    it('delivers to a server whose certificate is of an authority that was named, by option or in the URL', async () => {
      expect(await outcome(() => {}, { ca })).toEqual({ ssl: true })
      const path = join(database.server.socketDirectory, 'authority.pem')
      writeFileSync(path, ca)
      expect(await outcome((url) => url.searchParams.set('sslrootcert', path))).toEqual({ ssl: true })
    })

    it('speaks none to a loopback host where nothing asks for it', async () => {
      expect(await outcome(() => {})).toEqual({ ssl: false })
    })

    it('refuses a certificate of an authority that nobody named', async () => {
      expect(await outcome((url) => url.searchParams.set('sslmode', 'verify-full'))).toBe(
        'the certificate of the server was not accepted (DEPTH_ZERO_SELF_SIGNED_CERT)',
      )
    })

    it('refuses a certificate for another name', async () => {
      const byAddress = (url: URL) => {
        url.hostname = '127.0.0.1'
      }
      expect(await outcome(byAddress, { ca })).toBe(
        'the certificate of the server was not accepted (ERR_TLS_CERT_ALTNAME_INVALID)',
      )
    })
  })
})
