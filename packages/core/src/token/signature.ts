import { constants, type KeyObject, verify } from 'node:crypto'
import { ALGORITHMS, type Algorithm } from './algorithms.js'

/**
 * Whether a signature holds (RFC 7515 5.2), computed on the thread pool.
 * That the key may be used with the algorithm has been checked by its key set; nothing of the claims is checked here.
 */
export function verifySignature(algorithm: Algorithm, key: KeyObject, signingInput: string, signature: Buffer): Promise<boolean> {
  const details = ALGORITHMS.get(algorithm)
  if (details === undefined) return Promise.resolve(false)
  return new Promise((resolve) => {
    verify(
      details.hash,
      Buffer.from(signingInput, 'latin1'),
      {
        key,
        dsaEncoding: 'ieee-p1363', // R || S of fixed length, RFC 7518 3.4; any other length does not hold
        ...(details.pss && { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }),
      },
      signature,
      // An error here means that OpenSSL could not even read the signature: it does not hold.
      (error, holds) => resolve(error === null && holds),
    )
  })
}
