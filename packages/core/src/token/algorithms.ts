import { ConfigError } from '../errors.js'

/** A JOSE signature algorithm that can be accepted: asymmetric only (RFC 8725 3.1, 3.2). `none` and HMAC are not among them and cannot be added. */
export type Algorithm = (typeof NAMES)[number]

const NAMES = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const

/** What an algorithm asks of a key, and how its signature is checked. */
export interface AlgorithmDetails {
  readonly kty: 'RSA' | 'EC' | 'OKP'
  /** The curve of the key; `null` for RSA. */
  readonly crv: string | null
  /** Digest by its OpenSSL name; `null` where the algorithm has its own (EdDSA). */
  readonly hash: string | null
  /** RSASSA-PSS (with a salt as long as the digest) rather than PKCS #1 v1.5. */
  readonly pss: boolean
  /** A proof takes some 20 to 120 us, about as long as its way to the thread pool and back; the others take many times that. */
  readonly quick: boolean
}

const rsa = (bits: number, pss: boolean): AlgorithmDetails => ({
  kty: 'RSA',
  crv: null,
  hash: `sha${bits}`,
  pss,
  quick: true,
})
const ec = (crv: string, bits: number): AlgorithmDetails => ({
  kty: 'EC',
  crv,
  hash: `sha${bits}`,
  pss: false,
  quick: crv === 'P-256',
})
const ed25519: AlgorithmDetails = { kty: 'OKP', crv: 'Ed25519', hash: null, pss: false, quick: true }

/** RFC 7518 3.1, RFC 8037 3.1, RFC 9864 2.2. */
export const ALGORITHMS: ReadonlyMap<string, AlgorithmDetails> = new Map<Algorithm, AlgorithmDetails>([
  ['RS256', rsa(256, false)],
  ['RS384', rsa(384, false)],
  ['RS512', rsa(512, false)],
  ['PS256', rsa(256, true)],
  ['PS384', rsa(384, true)],
  ['PS512', rsa(512, true)],
  ['ES256', ec('P-256', 256)],
  ['ES384', ec('P-384', 384)],
  ['ES512', ec('P-521', 512)],
  ['EdDSA', ed25519],
  ['Ed25519', ed25519],
])

/** All algorithms that an issuer may be given; also the default. */
export const ALGORITHM_NAMES: readonly Algorithm[] = NAMES

/** Reads an {@link Algorithm}. */
export function algorithmAt(value: unknown, where: string): Algorithm {
  if (!isAlgorithm(value)) throw new ConfigError(`${where} is not an accepted algorithm: it can be ${ALGORITHM_NAMES.join(', ')}`)
  return value
}

export function isAlgorithm(value: unknown): value is Algorithm {
  return typeof value === 'string' && ALGORITHMS.has(value)
}
