import { ConfigError, type RevocationEntry } from '@behalf/core/sink-kit'

/** What a key of an entry looks like. No other field of the hash is one. */
const KEY = /^[A-Za-z0-9_-]{43}$/

/** How the time of an entry that has none is written. */
const EVERY_TOKEN = '-'

/** An entry as the words of a command: key, `keepUntil`, time or `-`. They are kept as texts: Lua would round them. */
export function wordsOf({ key, issuedUntilSeconds, keepUntil }: RevocationEntry): readonly [string, string, string] {
  return [key, String(Math.ceil(keepUntil)), issuedUntilSeconds === null ? EVERY_TOKEN : String(issuedUntilSeconds)]
}

/** @returns `null` where the words are not those of an entry */
export function entryOf(key: string, keepUntil: string, issuedUntil: string): RevocationEntry | null {
  const entry: RevocationEntry = {
    key,
    issuedUntilSeconds: issuedUntil === EVERY_TOKEN ? null : numberOf(issuedUntil),
    keepUntil: numberOf(keepUntil),
  }
  return isEntry(entry) ? Object.freeze(entry) : null
}

export function isEntryKey(text: string): boolean {
  return KEY.test(text)
}

/** One that cannot be read again would keep every replica from knowing all of them. @throws {ConfigError} */
export function assertEntry(entry: RevocationEntry): void {
  if (!isEntry(entry)) {
    throw new ConfigError(
      'add() needs an entry as revocationKey() makes its key, with a time in seconds or null, and with keepUntil in milliseconds',
    )
  }
}

function isEntry({ key, issuedUntilSeconds, keepUntil }: RevocationEntry): boolean {
  return isEntryKey(key) && isTime(keepUntil) && (issuedUntilSeconds === null || isTime(issuedUntilSeconds))
}

/** Negative ones would read as another word. */
function isTime(value: number): boolean {
  return Number.isFinite(value) && value >= 0 && value <= Number.MAX_SAFE_INTEGER
}

function numberOf(text: string): number {
  return text === '' ? Number.NaN : Number(text)
}
