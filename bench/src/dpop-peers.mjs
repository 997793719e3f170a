// Everybody who judges proofs of possession here: the floor by hand, the one peer, and behalf. Each as a function of one request.
import { createHash, createPublicKey, verify as cryptoVerify } from 'node:crypto'
import { ORIGIN, TARGET } from './dpop-target.mjs'
import { guardOptions } from './exchange.mjs'
import { bearerMiddleware, CACHE_ENTRIES, jwkOf, onThreadPool, parseByHand, primitiveOf } from './peers.mjs'

/** How behalf is told to ask for proofs: as an API without replicas does. */
export function dpopOptions(environment, { mode = 'require', replay = 'single-process' } = {}) {
  return { ...guardOptions(environment, undefined, { dpop: mode }), publicOrigins: ORIGIN, dpop: { replay } }
}

/** The peer with proofs demanded; else as it is by default: proofs of the last five minutes, and no memory of used ones. */
export function dpopBearerMiddleware(environment, algorithm) {
  return bearerMiddleware(environment, algorithm, { dpop: { enabled: true, required: true } })
}

/** Clients' keys that are kept ready; behalf's own number. */
const KEPT_KEYS = 1024

/** How old a proof may be, in seconds; behalf's own default. */
const PROOF_SECONDS = 60

/**
 * What a careful person writes without a library, for one origin: token and proof parsed once and proved by two `crypto.verify`, at the
 * same time on the thread pool; the checks of RFC 9449 4.3; tokens, clients' keys and used proofs remembered. Used ones are never
 * forgotten: a floor has no upkeep.
 * @returns {(token: string, proof: string, method: string) => Promise<object>} the token's claims; rejects where it refuses
 */
export function dpopByHand(environment, algorithm, { onPool = false } = {}) {
  const holds = onPool ? onThreadPool : cryptoVerify
  const { digest, options } = primitiveOf(environment, algorithm)
  const { kid } = jwkOf(environment, algorithm)
  const tokens = new Map()
  const keys = new Map()
  const used = new Set()

  return async (token, proof, method) => {
    const known = tokens.get(token.slice(-43))
    const recalled = known !== undefined && known.token === token && known.claims.exp > Date.now() / 1000
    const { claims, signed, signature } = recalled ? known : parseByHand(token, environment, algorithm, kid)
    const { header64, key, own, ...parts } = parseProof(proof, keys)
    checkByHand(own, { token, method, thumbprint: key.thumbprint, jkt: claims.cnf?.jkt })
    const [tokenHolds, proofHolds] = await Promise.all([
      recalled || holds(digest, signed, options, signature),
      holds('sha256', parts.signed, key.options, parts.signature),
    ])
    if (!tokenHolds || !proofHolds) throw new Error('signature')
    if (!recalled) keep(tokens, CACHE_ENTRIES, token.slice(-43), { token, claims })
    if (!keys.has(header64)) keep(keys, KEPT_KEYS, header64, key)
    const use = `${key.thumbprint} ${own.jti}`
    if (used.has(use)) throw new Error('replay')
    used.add(use)
    return claims
  }
}

function keep(map, most, name, value) {
  if (map.size >= most) map.delete(map.keys().next().value) // oldest out first
  map.set(name, value)
}

function parseProof(proof, keys) {
  const [header64, payload64, signature64, more] = proof.split('.')
  if (signature64 === undefined || more !== undefined) throw new Error('malformed')
  const key = keys.get(header64) ?? readKey(JSON.parse(Buffer.from(header64, 'base64url').toString()))
  const own = JSON.parse(Buffer.from(payload64, 'base64url').toString())
  const signed = Buffer.from(proof.slice(0, header64.length + 1 + payload64.length))
  return { header64, key, own, signed, signature: Buffer.from(signature64, 'base64url') }
}

function readKey({ typ, alg, jwk }) {
  if (typ !== 'dpop+jwt' || alg !== 'ES256' || jwk?.kty !== 'EC' || jwk.d !== undefined) throw new Error('header')
  const { crv, kty, x, y } = jwk
  const options = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' }
  return { options, thumbprint: sha256(JSON.stringify({ crv, kty, x, y })) }
}

function checkByHand({ jti, htm, htu, iat, ath }, { token, method, thumbprint, jkt }) {
  if (typeof jti !== 'string' || htm !== method || htu !== TARGET) throw new Error('claims')
  if (!(Math.abs(Date.now() / 1000 - iat) <= PROOF_SECONDS)) throw new Error('time')
  if (ath !== sha256(token) || thumbprint !== jkt) throw new Error('binding')
}

function sha256(text) {
  return createHash('sha256').update(text).digest('base64url')
}
