import { type KeyObject, sign, verify } from 'node:crypto'
import { isKeyName, keyIdOf, publicBytesOf, type VerifierKey } from './verifier-key.js'

/** What a checkpoint says of a journal (C2SP tlog-checkpoint, with four lines of our own). */
export interface Checkpoint {
  /** Name of the log. One line, no control characters. */
  readonly origin: string
  /** It covers exactly the records 0 to `size - 1`. At least 1. */
  readonly size: number
  /** Root of the RFC 6962 Merkle tree over these records, 32 bytes. */
  readonly root: Buffer
  /** `size` of the checkpoint before, 0 where there is none: a checkpoint is bound to its range. */
  readonly from: number
  /** `sha256` of record `size - 1`. */
  readonly head: string
  /** The journal's UUID. */
  readonly journal: string
  /** When it was signed: RFC 3339, UTC, milliseconds. */
  readonly time: string
}

/** A signed note (C2SP signed-note), taken apart; nothing is verified. */
export interface ParsedNote {
  /** What is signed, with the newline that ends it. */
  readonly text: string
  /** Empty: nobody signed. */
  readonly signatures: readonly NoteSignature[]
}

/** One signature line. */
export interface NoteSignature {
  /** Name of the key. */
  readonly name: string
  /** 4 bytes that tell keys of one name apart. */
  readonly keyId: Buffer
  /** The bytes after the key id; of Ed25519 64. */
  readonly signature: Buffer
}

const KEY_ID_BYTES = 4
/** Most signatures of one note that are read; ours have one, and witnesses may add theirs. */
const MOST_SIGNATURES = 100
/** Control characters other than newline, and lone surrogates. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const UNFIT = /[\p{Cs}\u0000-\u0009\u000b-\u001f\u007f]/u
const SIGNATURE_LINE = /^\u2014 ([^ ]+) ([A-Za-z0-9+/]+={0,2})$/
const SIZE = /^(?:0|[1-9][0-9]{0,15})$/
const RANGE = /^range (0|[1-9][0-9]{0,15}) (0|[1-9][0-9]{0,15})$/
const HEAD = /^head ([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])$/
const JOURNAL = /^journal ([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/
const TIME = /^time ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z)$/
const ROOT = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/
const LINES = 8

/** The text that is signed: seven lines, each with its newline. */
export function formatCheckpoint({ origin, size, root, from, head, journal, time }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\nrange ${from} ${size}\nhead ${head}\njournal ${journal}\ntime ${time}\n`
}

/**
 * Reads the text of a checkpoint. `null` where writing it again would not give the same text: another line, a missing or further
 * one, another way to write a number; and where it covers nothing (`size` 0, or not beyond `from`).
 */
export function parseCheckpoint(text: string): Checkpoint | null {
  const lines = text.split('\n')
  if (lines.length !== LINES || lines[LINES - 1] !== '' || UNFIT.test(text)) return null
  const [origin = '', sizeText = '', rootText = '', rangeLine = '', headLine = '', journalLine = '', timeLine = ''] = lines
  const [, from = '', upTo = ''] = RANGE.exec(rangeLine) ?? []
  const head = HEAD.exec(headLine)?.[1]
  const journal = JOURNAL.exec(journalLine)?.[1]
  const time = TIME.exec(timeLine)?.[1]
  const size = Number(sizeText)
  const shaped = origin !== '' && SIZE.test(sizeText) && upTo === sizeText && ROOT.test(rootText)
  if (!shaped || head === undefined || journal === undefined || time === undefined || !isTime(time)) return null
  if (!Number.isSafeInteger(size) || Number(from) >= size) return null
  return { origin, size, root: Buffer.from(rootText, 'base64'), from: Number(from), head, journal, time }
}

/**
 * Signs a text: the text, a blank line, and one signature line.
 * @param text ends with a newline, as `formatCheckpoint()` makes it
 * @param name of the key, as verifiers know it
 * @param key Ed25519, private
 */
export function signNote(text: string, name: string, key: KeyObject): string {
  if (!isKeyName(name))
    throw new TypeError('the name of a key must not be empty, and hold no spaces, plus signs or control characters')
  if (!text.endsWith('\n') || UNFIT.test(text))
    throw new TypeError('the text of a note must end with a newline, and hold no control characters')
  if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519')
    throw new TypeError('notes are signed with an Ed25519 private key')
  const keyId = keyIdOf(name, publicBytesOf(key))
  const signature = sign(null, Buffer.from(text), key)
  return `${text}\n\u2014 ${name} ${Buffer.concat([keyId, signature]).toString('base64')}\n`
}

/**
 * Takes a note apart. `null` where it is none: no blank line after the text, a signature line of another shape, control characters,
 * base64 that is not the canonical one. A note without any signature line is one that nobody signed.
 */
export function parseNote(note: string): ParsedNote | null {
  const split = note.lastIndexOf('\n\n')
  if (split <= 0 || UNFIT.test(note)) return null
  const text = note.slice(0, split + 1)
  const rest = note.slice(split + 2)
  if (rest === '') return { text, signatures: [] }
  const lines = rest.split('\n')
  if (lines.pop() !== '' || lines.length > MOST_SIGNATURES) return null
  const signatures: NoteSignature[] = []
  for (const line of lines) {
    const signature = parseSignature(line)
    if (signature === null) return null
    signatures.push(signature)
  }
  return { text, signatures }
}

/**
 * Whether the key signed the note. Lines of other keys are passed over; where several are by this key's name and id, all must hold.
 * Says nothing about the text.
 */
export function verifyNote(note: ParsedNote, key: VerifierKey): boolean {
  const ours = note.signatures.filter(
    ({ name, keyId }) => (key.name === null || key.name === name) && keyIdOf(name, key.raw).equals(keyId),
  )
  const text = Buffer.from(note.text)
  return ours.length > 0 && ours.every(({ signature }) => verify(null, text, key.publicKey, signature))
}

function parseSignature(line: string): NoteSignature | null {
  const [, name, encoded] = SIGNATURE_LINE.exec(line) ?? []
  if (name === undefined || encoded === undefined || !isKeyName(name)) return null
  const bytes = Buffer.from(encoded, 'base64')
  if (bytes.toString('base64') !== encoded || bytes.length <= KEY_ID_BYTES) return null
  return { name, keyId: bytes.subarray(0, KEY_ID_BYTES), signature: bytes.subarray(KEY_ID_BYTES) }
}

function isTime(text: string): boolean {
  const milliseconds = Date.parse(text)
  return !Number.isNaN(milliseconds) && new Date(milliseconds).toISOString() === text
}
