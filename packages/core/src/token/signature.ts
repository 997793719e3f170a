import { constants, type KeyObject, type VerifyKeyObjectInput, verify } from 'node:crypto'
import type { Eventual } from '../thenable.js'
import { ALGORITHMS, type Algorithm } from './algorithms.js'
import { Overlap } from './overlap.js'

/** The event loop and the thread pool are the process's own, and so is what is known of their use. */
const overlap = new Overlap()
let underWay = 0

/**
 * Whether a signature holds (RFC 7515 5.2). That the key may be used with the algorithm has been checked by its key set; nothing
 * of the claims is checked here.
 *
 * Computed on the thread pool where proofs overlap, so that a burst of new tokens leaves the event loop free; at once where they
 * come one after another, since the way to the pool and back takes longer than a quick proof.
 * @param goesOn whether its caller has proved another signature for the same request, and only now comes to this one
 */
export function verifySignature(
  algorithm: Algorithm,
  key: KeyObject,
  signingInput: string,
  signature: Buffer,
  goesOn = false,
): Eventual<boolean> {
  const details = ALGORITHMS.get(algorithm)
  if (details === undefined) return false
  const input = Buffer.from(signingInput, 'latin1')
  const how: VerifyKeyObjectInput = {
    key,
    dsaEncoding: 'ieee-p1363', // R || S of fixed length, RFC 7518 3.4; any other length does not hold
    ...(details.pss && { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }),
  }
  const overlaps = (goesOn ? overlap.goesOn() : overlap.begins()) || underWay > 0
  return details.quick && !overlaps
    ? holdsNow(details.hash, input, how, signature)
    : holdsLater(details.hash, input, how, signature)
}

function holdsNow(hash: string | null, input: Buffer, how: VerifyKeyObjectInput, signature: Buffer): boolean {
  try {
    return verify(hash, input, how, signature)
  } catch {
    return false // OpenSSL could not even read the signature: it does not hold
  }
}

function holdsLater(hash: string | null, input: Buffer, how: VerifyKeyObjectInput, signature: Buffer): Promise<boolean> {
  underWay++
  return new Promise((resolve) => {
    verify(hash, input, how, signature, (error, holds) => {
      underWay--
      resolve(error === null && holds)
    })
  })
}
