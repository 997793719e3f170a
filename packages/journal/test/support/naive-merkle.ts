import { createHash } from 'node:crypto'

/** The definitions of RFC 6962 2.1 as they are written there: slow, and with no state. */
export function naiveRoot(leaves: readonly Uint8Array[]): Buffer {
  const [only] = leaves
  if (only === undefined) return sha256(Buffer.alloc(0))
  if (leaves.length === 1) return sha256(Buffer.concat([Buffer.of(0), only]))
  const split = largestPowerBelow(leaves.length)
  return sha256(Buffer.concat([Buffer.of(1), naiveRoot(leaves.slice(0, split)), naiveRoot(leaves.slice(split))]))
}

/** Roots of the complete subtrees, largest first. */
export function naiveFrontier(leaves: readonly Uint8Array[]): Buffer[] {
  const hashes: Buffer[] = []
  for (let start = 0, bit = 2 ** 20; bit >= 1; bit /= 2) {
    if (leaves.length - start < bit) continue
    hashes.push(naiveRoot(leaves.slice(start, start + bit)))
    start += bit
  }
  return hashes
}

/** The largest power of two smaller than n. */
function largestPowerBelow(n: number): number {
  let power = 1
  while (power * 2 < n) power *= 2
  return power
}

function sha256(data: Uint8Array): Buffer {
  return createHash('sha256').update(data).digest()
}
