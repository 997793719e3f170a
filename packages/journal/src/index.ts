/** A durable, tamper-evident audit journal on local disk: writing, reading, verifying and shipping it. */
export {
  type Checkpoint,
  type NoteSignature,
  type ParsedNote,
  parseCheckpoint,
  parseNote,
  verifyNote,
} from './checkpoint.js'
export { type HttpsFetch, HttpsTargetError, type HttpsTargetOptions, httpsTarget } from './https-target.js'
export { JournalError, type JournalErrorCode } from './journal-error.js'
export type { CreateFile, JournalFile } from './journal-file.js'
export type { JournalOptions } from './journal-options.js'
export { type JournalSink, journalSink } from './journal-sink.js'
export type { JournalState } from './journal-writer.js'
export { type JournalEntry, type ReadJournalOptions, readJournal } from './read-journal.js'
export { canonicalJson, type JournalRecord, parseRecord, type RecordKind } from './record.js'
export { ShipError, type ShipErrorCode } from './ship-error.js'
export { type ShipOptions, type ShipProgress, type ShipReport, shipJournal } from './ship-journal.js'
export type { Lag } from './ship-lag.js'
export { parseVerifierKey, type VerifierKey, verifierKeyText } from './verifier-key.js'
export type { Finding, FindingCode, Place, Severity } from './verify/findings.js'
export type { VerifyProgress } from './verify/segment-walk.js'
export { type JournalReport, type Verdict, type VerifyOptions, verifyJournal } from './verify-journal.js'
