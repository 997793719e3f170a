import type { KeyObject } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { RefusalCode } from '../challenge.js'
import { importJwk, isAffordable, isCanonical, keyFits, thumbprintOf } from '../keys/verification-key.js'
import { type Limits, MAX_PROOF_KEYS } from '../limits.js'
import { andThen, type Eventual } from '../thenable.js'
import { type Algorithm, isAlgorithm } from '../token/algorithms.js'
import type { JsonObject } from '../token/json.js'
import { parseJwt, type UnverifiedJwt } from '../token/jwt.js'
import { verifySignature } from '../token/signature.js'

/** A proof of possession whose signature holds (RFC 9449 4.2). What it proves, and when, is judged by the proof checks. */
export interface DpopProof {
  /** RFC 7638 SHA-256 thumbprint of the key that signed it. */
  readonly thumbprint: string
  readonly jti: string
  readonly htm: string
  readonly htu: string
  /** Seconds since the epoch. */
  readonly iat: number
  readonly ath: string
  /** Whatever stands there; `undefined`: nothing. */
  readonly nonce: unknown
}

/** A key of a client, made once from the header of its proofs. */
interface ProofKey {
  readonly header: JsonObject
  readonly algorithm: Algorithm
  readonly keyObject: KeyObject
  readonly thumbprint: string
}

/** Reads proofs, and remembers the keys of clients whose proofs hold: a client shows the same header each time. */
export class DpopProofReader {
  readonly #algorithms: ReadonlySet<string>
  readonly #bounds: { readonly tokenBytes: number; readonly jsonDepth: number }
  /** By the header as it is written. */
  readonly #keys = new LRUCache<string, ProofKey>({ max: MAX_PROOF_KEYS })
  readonly #headers = { get: (headerPart: string) => this.#keys.get(headerPart)?.header }

  constructor(algorithms: ReadonlySet<string>, limits: Limits) {
    this.#algorithms = algorithms
    this.#bounds = { tokenBytes: limits.proofBytes, jsonDepth: limits.jsonDepth }
  }

  /**
   * Takes a proof apart and proves its signature by the key that it shows (RFC 9449 4.3, 1 to 7).
   * @param line the value of the `DPoP` field, several lines joined by commas; `null`: there is none
   * @param jkt thumbprint of the key that the token is bound to
   * @param anew whether the token's own signature has been proved for this request
   */
  read(line: string | null, jkt: string, anew: boolean): Eventual<DpopProof | RefusalCode> {
    if (line === null) return 'proof_missing'
    const jwt = parseJwt(line, this.#bounds, this.#headers) // a comma is no base64url
    const claims = jwt === null ? null : readClaims(jwt.unverifiedClaims)
    if (jwt === null || claims === null || jwt.unverifiedHeader['typ'] !== 'dpop+jwt') return 'proof_malformed'
    const key = this.#keyOf(jwt, jkt)
    if (typeof key === 'string') return key
    return andThen(verifySignature(key.algorithm, key.keyObject, jwt.signingInput, jwt.signature, anew), (holds) => {
      if (!holds) return 'proof_signature_invalid'
      this.#keys.set(jwt.headerPart, key)
      return { thumbprint: key.thumbprint, ...claims }
    })
  }

  /** The key that a proof shows, if it is the one that the token names. */
  #keyOf({ headerPart, unverifiedHeader: header }: UnverifiedJwt, jkt: string): ProofKey | RefusalCode {
    const known = this.#keys.get(headerPart)
    if (known !== undefined) return known.thumbprint === jkt ? known : 'sender_mismatch'
    const { alg, jwk } = header
    if (!isAlgorithm(alg) || !this.#algorithms.has(alg)) return 'proof_algorithm_refused'
    const imported = importJwk(jwk, Number.POSITIVE_INFINITY) // its id means nothing here, and is recorded nowhere
    if (typeof imported === 'string' || !keyFits(imported, alg) || !isAffordable(imported) || !isCanonical(imported)) {
      return 'proof_key_refused'
    }
    const thumbprint = thumbprintOf(imported.jwk)
    return thumbprint === jkt ? { header, algorithm: alg, keyObject: imported.keyObject, thumbprint } : 'sender_mismatch'
  }
}

/** The claims that each proof has (RFC 9449 4.2), with their types; `ath` too, since a token is always presented with it here. */
function readClaims({ jti, htm, htu, iat, ath, nonce }: JsonObject): Omit<DpopProof, 'thumbprint'> | null {
  if (typeof jti !== 'string' || jti === '' || typeof htm !== 'string' || typeof htu !== 'string') return null
  if (typeof iat !== 'number' || typeof ath !== 'string') return null
  return { jti, htm, htu, iat, ath, nonce }
}
