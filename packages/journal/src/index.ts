/** A durable, tamper-evident audit journal on local disk: writing, reading, verifying and shipping it. */

export { canonicalJson } from './format/canonical-json.js'
export {
  type Checkpoint,
  type NoteSignature,
  type ParsedNote,
  parseCheckpoint,
  parseNote,
  verifyNote,
} from './format/checkpoint.js'
export { type JournalRecord, parseRecord, type RecordKind } from './format/record.js'
export { parseVerifierKey, type VerifierKey, verifierKeyText } from './format/verifier-key.js'
export { JournalError, type JournalErrorCode } from './journal-error.js'
export { type JournalEntry, type ReadJournalOptions, readJournal } from './read/read-journal.js'
export { type HttpsFetch, HttpsTargetError, type HttpsTargetOptions, httpsTarget } from './ship/https-target.js'
export { ShipError, type ShipErrorCode } from './ship/ship-error.js'
export { type ShipOptions, type ShipProgress, type ShipReport, shipJournal } from './ship/ship-journal.js'
export type { Lag } from './ship/ship-lag.js'
export type { Finding, FindingCode, Place, Severity } from './verify/findings.js'
export type { VerifyProgress } from './verify/segment-walk.js'
export { type JournalReport, type Verdict, type VerifyOptions, verifyJournal } from './verify/verify-journal.js'
export { type CreateFile, createSystemFile, type JournalFile } from './write/journal-file.js'
export type { JournalOptions } from './write/journal-options.js'
export { type JournalSink, journalSink } from './write/journal-sink.js'
export type { JournalState } from './write/journal-writer.js'
