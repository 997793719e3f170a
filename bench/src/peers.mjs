// Everybody who verifies here: raw primitives and handwritten code as floors, libraries as peers, and behalf.
import { constants, createPublicKey, verify as cryptoVerify, webcrypto } from 'node:crypto'
import { guardOptions, requestThrough } from './exchange.mjs'

// Libraries are loaded by whoever uses them: a server process holds what its own guard needs, and starts as fast.

/**
 * @typedef {object} Environment what a guard has to know: plain data
 * @property {string} issuer
 * @property {string} audience
 * @property {string} jwksUri
 * @property {{ keys: readonly object[] }} jwks
 *
 * @typedef {object} Peer
 * @property {string} name
 * @property {'floor' | 'peer' | 'behalf'} kind
 * @property {readonly string[]} algorithms those that it can verify
 * @property {'parts' | 'token' | 'authorization'} input what it is called with: bytes and signature, a token, a header's value
 * @property {boolean} [remembers] keeps what it has verified: it must be made anew before a token may come again as a new one
 * @property {'direct' | 'delegated'} tokens
 * @property {(environment: Environment, algorithm: string) => unknown} create a function of the input, or a promise of it;
 *   the function throws, rejects, or answers `false` for a token that it refuses
 */

const EVERY = ['RS256', 'PS256', 'ES256', 'EdDSA']
const WITHOUT_EDDSA = ['RS256', 'PS256', 'ES256']

/** Tokens that a cache of a peer keeps; behalf's own default. */
export const CACHE_ENTRIES = 10_000

export function jwkOf({ jwks }, algorithm) {
  return jwks.keys.find(({ alg }) => alg === algorithm)
}

function publicKeyOf(environment, algorithm) {
  return createPublicKey({ key: jwkOf(environment, algorithm), format: 'jwk' })
}

function pemOf(environment, algorithm) {
  return publicKeyOf(environment, algorithm).export({ type: 'spki', format: 'pem' })
}

/** Digest and key options of Node's `crypto.verify`. */
export function primitiveOf(environment, algorithm) {
  const key = publicKeyOf(environment, algorithm)
  if (algorithm === 'EdDSA') return { digest: null, options: key }
  if (algorithm === 'ES256') return { digest: 'sha256', options: { key, dsaEncoding: 'ieee-p1363' } }
  if (algorithm === 'RS256') return { digest: 'sha256', options: key }
  return {
    digest: 'sha256',
    options: { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
  }
}

const SUBTLE = {
  RS256: [{ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, 'RSASSA-PKCS1-v1_5'],
  PS256: [
    { name: 'RSA-PSS', hash: 'SHA-256' },
    { name: 'RSA-PSS', saltLength: 32 },
  ],
  ES256: [
    { name: 'ECDSA', namedCurve: 'P-256' },
    { name: 'ECDSA', hash: 'SHA-256' },
  ],
  EdDSA: [{ name: 'Ed25519' }, 'Ed25519'],
}

function rawSynchronous(environment, algorithm) {
  const { digest, options } = primitiveOf(environment, algorithm)
  return ({ signed, signature }) => cryptoVerify(digest, signed, options, signature)
}

export function onThreadPool(digest, signed, options, signature) {
  return new Promise((resolve, reject) => {
    cryptoVerify(digest, signed, options, signature, (error, holds) => (error ? reject(error) : resolve(holds)))
  })
}

function rawThreadPool(environment, algorithm) {
  const { digest, options } = primitiveOf(environment, algorithm)
  return ({ signed, signature }) => onThreadPool(digest, signed, options, signature)
}

function rawWebCrypto(environment, algorithm) {
  const [importAs, verifyAs] = SUBTLE[algorithm]
  const { kty, crv, n, e, x, y } = jwkOf(environment, algorithm)
  const importing = webcrypto.subtle.importKey('jwk', { kty, crv, n, e, x, y }, importAs, false, ['verify'])
  let key = null
  importing.then((imported) => {
    key = imported
  })
  return async ({ signed, signature }) => webcrypto.subtle.verify(verifyAs, key ?? (await importing), signature, signed)
}

/** What a careful person writes without a library: parsed once, key pinned, the claims that matter checked. */
export function parseByHand(token, { issuer, audience }, algorithm, kid) {
  const [header64, payload64, signature64, more] = token.split('.')
  if (signature64 === undefined || more !== undefined) throw new Error('malformed')
  const header = JSON.parse(Buffer.from(header64, 'base64url').toString())
  if (header.alg !== algorithm || header.kid !== kid || header.typ !== 'at+jwt') throw new Error('header')
  const claims = JSON.parse(Buffer.from(payload64, 'base64url').toString())
  if (claims.iss !== issuer || claims.aud !== audience || !(claims.exp > Date.now() / 1000)) throw new Error('claims')
  const signed = Buffer.from(token.slice(0, header64.length + 1 + payload64.length))
  return { claims, signed, signature: Buffer.from(signature64, 'base64url') }
}

function byHand(environment, algorithm) {
  const { digest, options } = primitiveOf(environment, algorithm)
  const { kid } = jwkOf(environment, algorithm)
  return (token) => {
    const { claims, signed, signature } = parseByHand(token, environment, algorithm, kid)
    if (!cryptoVerify(digest, signed, options, signature)) throw new Error('signature')
    return claims
  }
}

function byHandThreadPool(environment, algorithm) {
  const { digest, options } = primitiveOf(environment, algorithm)
  const { kid } = jwkOf(environment, algorithm)
  return async (token) => {
    const { claims, signed, signature } = parseByHand(token, environment, algorithm, kid)
    if (!(await onThreadPool(digest, signed, options, signature))) throw new Error('signature')
    return claims
  }
}

/** Looked up by the signature's end, compared whole, oldest out first. */
function byHandCached(environment, algorithm) {
  const verify = byHand(environment, algorithm)
  const entries = new Map()
  return (token) => {
    const tail = token.slice(-43)
    const found = entries.get(tail)
    if (found !== undefined && found.token === token && found.claims.exp > Date.now() / 1000) return found.claims
    const claims = verify(token)
    if (entries.size >= CACHE_ENTRIES) entries.delete(entries.keys().next().value)
    entries.set(tail, { token, claims })
    return claims
  }
}

async function fastJwt(environment, algorithm, cache) {
  const { createVerifier } = await import('fast-jwt')
  const { issuer, audience } = environment
  return createVerifier({
    key: pemOf(environment, algorithm),
    algorithms: [algorithm],
    allowedIss: issuer,
    allowedAud: audience,
    requiredClaims: ['exp'],
    cache,
  })
}

async function awsJwtVerify({ issuer, audience, jwksUri, jwks }) {
  const { JwtVerifier } = await import('aws-jwt-verify')
  const verifier = JwtVerifier.create({ issuer, audience, jwksUri })
  verifier.cacheJwks(jwks)
  return (token) => verifier.verifySync(token)
}

async function jsonWebToken(environment, algorithm) {
  const { default: jsonwebtoken } = await import('jsonwebtoken')
  const { issuer, audience } = environment
  const key = publicKeyOf(environment, algorithm)
  const options = { algorithms: [algorithm], issuer, audience }
  return (token) => jsonwebtoken.verify(token, key, options)
}

async function jsonWebTokenJwksRsa({ issuer, audience, jwksUri }, algorithm) {
  const { default: jsonwebtoken } = await import('jsonwebtoken')
  const { default: jwksRsa } = await import('jwks-rsa')
  const client = jwksRsa({ jwksUri, cache: true })
  const options = { algorithms: [algorithm], issuer, audience }
  const keyOf = ({ kid }, done) => {
    client.getSigningKey(kid).then((key) => done(null, key.getPublicKey()), done)
  }
  return (token) =>
    new Promise((resolve, reject) => {
      jsonwebtoken.verify(token, keyOf, options, (error, claims) => (error ? reject(error) : resolve(claims)))
    })
}

async function jose({ issuer, audience, jwksUri }, algorithm) {
  const { createRemoteJWKSet, jwtVerify } = await import('jose')
  const keys = createRemoteJWKSet(new URL(jwksUri))
  const options = { issuer, audience, typ: 'at+jwt', algorithms: [algorithm] }
  return async (token) => (await jwtVerify(token, keys, options)).payload
}

async function oauth4web({ issuer, audience, jwksUri }, algorithm) {
  const oauth4webapi = await import('oauth4webapi')
  const server = { issuer, jwks_uri: jwksUri }
  const options = { [oauth4webapi.allowInsecureRequests]: true, signingAlgorithms: [algorithm] }
  return (authorization) => {
    const request = new Request('https://api.bench.example/orders', { headers: { authorization } })
    return oauth4webapi.validateJwtAccessToken(server, request, audience, options)
  }
}

/** @param {object} [more] further options of the library */
export async function bearerMiddleware({ issuer, audience, jwksUri }, algorithm, more = {}) {
  const { auth } = await import('express-oauth2-jwt-bearer')
  return auth({ issuer, audience, jwksUri, tokenSigningAlg: algorithm, ...more })
}

export async function expressJwtMiddleware({ issuer, audience, jwksUri }, algorithm) {
  const { expressjwt } = await import('express-jwt')
  const { default: jwksRsa } = await import('jwks-rsa')
  return expressjwt({ secret: jwksRsa.expressJwtSecret({ jwksUri, cache: true }), algorithms: [algorithm], issuer, audience })
}

/**
 * An Express middleware, called with the least of a request that it asks for.
 * @returns {(authorization: string, proof?: string) => Promise<unknown>}
 */
export function calledAlone(middleware, origin = 'https://api.bench.example') {
  const { protocol, host } = new URL(origin)
  return (authorization, proof) =>
    new Promise((resolve, reject) => {
      const headers = { host, authorization, ...(proof !== undefined && { dpop: proof }) }
      const request = {
        method: 'GET',
        url: '/orders',
        originalUrl: '/orders',
        protocol: protocol.slice(0, -1),
        host,
        headers,
        query: {},
        is: () => false,
      }
      request.get = (name) => headers[name.toLowerCase()]
      middleware(request, {}, (error) => (error ? reject(error) : resolve(request.auth)))
    })
}

/** @type {readonly Peer[]} */
export const PEERS = [
  { name: 'crypto.verify', kind: 'floor', input: 'parts', create: rawSynchronous },
  { name: 'crypto.verify, thread pool', kind: 'floor', input: 'parts', create: rawThreadPool },
  { name: 'WebCrypto', kind: 'floor', input: 'parts', create: rawWebCrypto },
  { name: 'by hand', kind: 'floor', input: 'token', create: byHand },
  { name: 'by hand, thread pool', kind: 'floor', input: 'token', create: byHandThreadPool },
  { name: 'by hand, cache', kind: 'floor', input: 'token', remembers: true, create: byHandCached },
  { name: 'behalf, verify', kind: 'behalf', input: 'token', remembers: true, create: behalfVerify },
  {
    name: 'behalf, authenticate',
    kind: 'behalf',
    input: 'authorization',
    remembers: true,
    tokens: 'direct',
    create: behalfAuthenticate,
  },
  { name: 'behalf, authenticate delegated', kind: 'behalf', input: 'authorization', remembers: true, create: behalfAuthenticate },
  { name: 'fast-jwt', kind: 'peer', input: 'token', create: (...given) => fastJwt(...given, false) },
  {
    name: 'fast-jwt, cache',
    kind: 'peer',
    input: 'token',
    remembers: true,
    create: (...given) => fastJwt(...given, CACHE_ENTRIES),
  },
  { name: 'aws-jwt-verify', kind: 'peer', input: 'token', algorithms: ['RS256', 'ES256', 'EdDSA'], create: awsJwtVerify },
  { name: 'jsonwebtoken', kind: 'peer', input: 'token', algorithms: WITHOUT_EDDSA, create: jsonWebToken },
  { name: 'jsonwebtoken + jwks-rsa', kind: 'peer', input: 'token', algorithms: WITHOUT_EDDSA, create: jsonWebTokenJwksRsa },
  { name: 'jose', kind: 'peer', input: 'token', create: jose },
  { name: 'oauth4webapi', kind: 'peer', input: 'authorization', create: oauth4web },
  {
    name: 'express-oauth2-jwt-bearer',
    kind: 'peer',
    input: 'authorization',
    create: async (...given) => calledAlone(await bearerMiddleware(...given)),
  },
  {
    name: 'express-jwt + jwks-rsa',
    kind: 'peer',
    input: 'authorization',
    algorithms: WITHOUT_EDDSA,
    create: async (...given) => calledAlone(await expressJwtMiddleware(...given)),
  },
].map((peer) => ({ algorithms: EVERY, tokens: 'delegated', remembers: false, ...peer }))

async function behalfVerify(environment) {
  const { createResourceServer } = await import('@behalf/core')
  const server = createResourceServer(guardOptions(environment))
  return (token) => server.verify(token)
}

async function behalfAuthenticate(environment) {
  const { createResourceServer } = await import('@behalf/core')
  return requestThrough(createResourceServer(guardOptions(environment)))
}

export function peerNamed(name) {
  const peer = PEERS.find((each) => each.name === name)
  if (peer === undefined) throw new Error(`there is no peer named "${name}"`)
  return peer
}
