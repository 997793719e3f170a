// Tokens that are bound to a client's key, each with a new proof of it. A proof is good for a minute: pairs are signed for one round.
import { createHash, createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { createDpopClient, signCompact } from '@behalf/testing'
import { ORIGIN, TARGET } from './dpop-target.mjs'
import { claimsOf, forged, headerOf, padded, signOnAllCores } from './tokens.mjs'

/**
 * Clients, each with an ES256 key of its own, as plain data and key objects: they travel to workers. The keys are made as DER, from which
 * the JWK is read: a process that asked thousands of fresh key objects for their JWK was seen to stop for good (Node 20.20).
 */
export function createClients(count) {
  return Array.from({ length: count }, () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'der' },
      privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    })
    // Both coordinates of the point are the end of SubjectPublicKeyInfo (RFC 5480 2.2).
    const [x, y] = [publicKey.subarray(-64, -32), publicKey.subarray(-32)].map((bytes) => bytes.toString('base64url'))
    const jwk = { crv: 'P-256', kty: 'EC', x, y }
    const key = {
      algorithm: 'ES256',
      kid: 'client',
      jwk,
      privateKey: createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' }),
    }
    return { key, jwk, jkt: createHash('sha256').update(JSON.stringify(jwk)).digest('base64url') }
  })
}

/** The same clients, each with one token for all of its requests. */
export function withTokens(clients, issuer, algorithm) {
  return clients.map((client) => ({ ...client, token: boundToken(issuer, algorithm, client.jkt) }))
}

/** A token that is bound to a key; to none with `null`. */
export function boundToken(issuer, algorithm, jkt) {
  const key = issuer.key(algorithm)
  const claims = claimsOf(issuer.issuer, { more: jkt === null ? {} : { cnf: { jkt } } })
  return signCompact(headerOf(key), JSON.stringify(padded(claims, algorithm)), key)
}

/**
 * Signs pairs of a token and a proof on all cores, for each client in turn: with its one token where it has one, else with a new token
 * each time.
 * @returns {Promise<string[]>} each as `token proof`
 */
export function signPairs({ issuer, algorithm, clients, count }) {
  return signOnAllCores(count, { key: issuer.key(algorithm), iss: issuer.issuer, clients })
}

/**
 * Requests that tell whether a guard looks at proofs at all. Each is asked once, in this order.
 * @returns {readonly { what: string, token: string | null, proof: string | null, scheme?: string, good: boolean }[]}
 */
export function trials(issuer, algorithm) {
  const client = createDpopClient()
  const token = boundToken(issuer, algorithm, client.jkt)
  const proof = (overrides, method = 'GET', url = TARGET) => client.proof(method, url, { token, ...overrides })
  const broken = (text) => forged(Buffer.from(text)).toString('latin1')
  const hourAgo = Math.floor(Date.now() / 1000) - 3600
  return [
    { what: 'a token and its proof', token, proof: proof(), good: true },
    { what: 'another proof', token, proof: proof(), good: true },
    { what: 'nothing', token: null, proof: null },
    { what: 'no proof', token, proof: null },
    { what: 'a bound token as a bearer token', scheme: 'Bearer', token, proof: null },
    { what: 'a forged token', token: broken(token), proof: proof({ token: broken(token) }) },
    { what: 'a forged proof', token, proof: broken(proof()) },
    { what: "another client's proof", token, proof: createDpopClient().proof('GET', TARGET, { token }) },
    { what: 'a proof for another token', token, proof: proof({ token: 'another' }) },
    { what: 'a proof for another method', token, proof: proof({}, 'POST') },
    { what: 'a proof for another address', token, proof: proof({}, 'GET', `${ORIGIN}/invoices`) },
    { what: 'an old proof', token, proof: proof({ claims: { iat: hourAgo } }) },
  ].map((trial) => ({ good: false, ...trial }))
}
