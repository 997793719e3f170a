import { resourceServer } from '@behalf/express'
import { journalSink } from '@behalf/journal'
import { issuers } from './systems.js'

// #region journal
export const journal = journalSink({
  directory: '/var/lib/orders-api/audit',
  signingKey: { file: '/etc/orders-api/audit-key.pem' }, // made by: behalf audit key
  origin: 'orders.example.com/audit/replica-1',
  onCheckpoint: (note) => keepElsewhere(note),
})
export const api = resourceServer({
  issuers,
  delegation: [{ id: 'support-looks', kind: 'impersonation', actor: 'any', scopes: ['orders:read'], methods: 'safe' }],
  audit: { sinks: [journal] },
})
// #endregion journal

/** Where the machine that writes the journal cannot take it back. */
async function keepElsewhere(note: string): Promise<void> {
  await fetch('https://witness.example.com/checkpoints', { method: 'POST', body: note })
}
