import { promisify } from 'node:util'
import { inflate } from 'node:zlib'
import { FetchError } from '../keys/fetch-json.js'
import { isObject, type JsonValue } from '../token/json.js'

/** The statuses of many tokens: each a number of as many bits, the least significant ones of each byte first (section 4.1). */
export interface Statuses {
  readonly bits: 1 | 2 | 4 | 8
  readonly bytes: Uint8Array
}

/** On the thread pool: a large list takes longer than requests should have to wait for each other. */
const inflated = promisify(inflate)

/** What is inflated at a time, in bytes: every piece is a way to the thread pool and back. */
const CHUNK_BYTES = 128 * 1024

/**
 * Reads `status_list` of a status list token (section 4.2): inflates it, within a bound.
 * @throws {FetchError} with a fixed text
 */
export async function readStatuses(value: JsonValue | undefined, maxBytes: number): Promise<Statuses> {
  if (!isObject(value)) throw new FetchError('the status list token holds no status list')
  const { bits, lst } = value
  if (!isBits(bits)) throw new FetchError('the status list has an impossible number of bits')
  const compressed = typeof lst === 'string' ? Buffer.from(lst, 'base64url') : null
  if (compressed === null || compressed.toString('base64url') !== lst) {
    throw new FetchError('the status list is not base64url')
  }
  try {
    return { bits, bytes: await inflated(compressed, { maxOutputLength: maxBytes, chunkSize: CHUNK_BYTES }) }
  } catch {
    throw new FetchError('the status list cannot be inflated')
  }
}

/** The status at an index, `null` beyond the list's end. */
export function statusAt({ bits, bytes }: Statuses, index: number): number | null {
  const perByte = 8 / bits
  const byte = bytes[Math.floor(index / perByte)]
  return byte === undefined ? null : (byte >> ((index % perByte) * bits)) & ((1 << bits) - 1)
}

function isBits(value: JsonValue | undefined): value is Statuses['bits'] {
  return value === 1 || value === 2 || value === 4 || value === 8
}
