// A signed journal, and what its verifier needs.
import { generateKeyPairSync } from 'node:crypto'
import { journalSink, parseVerifierKey, verifierKeyText, verifyJournal } from '@behalf/journal'

const ORIGIN = 'bench.example/audit'

/** One pair of keys for a run: what is signed is the same work with any key. */
const { privateKey: signingKey } = generateKeyPairSync('ed25519')
const key = parseVerifierKey(verifierKeyText(ORIGIN, signingKey))

/** Where it is not asked how long an event waits for a slow disk; the work is the same. */
export const PATIENT = { commitDeadlineMilliseconds: 60_000 }

/** A strict, signed journal with default options, unless `more` says otherwise; open when it is returned. */
export async function openJournal(directory, more = {}) {
  const sink = journalSink({ directory, signingKey, origin: ORIGIN, ...more })
  await sink.ready()
  return sink
}

export function verifyWithKey(directory, more = {}) {
  return verifyJournal(directory, { key, ...more })
}
