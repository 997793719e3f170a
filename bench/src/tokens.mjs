// Tokens of the benchmark: one shape for every algorithm, signed on all cores, each of them different.
import { randomUUID } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { createTestIssuer } from '@behalf/testing'

export const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA']
export const AUDIENCE = 'https://api.bench.example'
export const SCOPE = 'orders:read'
const ACTOR = 'agent-7f3c'

/** Long enough for the longest run: an expired token would be refused faster than it is verified. */
const LIFETIME_SECONDS = 6 * 3600

/** What real access tokens come to with a few claims of the application's own; every algorithm gets the same length. */
const TOKEN_CHARACTERS = 820

/** The authorization server of a run: its key set stands on a loopback port, as every peer with a remote key set needs it. */
export function startIssuer() {
  return createTestIssuer({ algorithms: ALGORITHMS, audience: AUDIENCE })
}

/** What a guard has to know about an issuer; plain data, so that it travels to child processes. */
export function environmentOf(issuer) {
  return { issuer: issuer.issuer, audience: issuer.audience, jwksUri: issuer.jwksUri, jwks: issuer.jwks() }
}

/** The claims of one token. `more` changes or adds some; the text is padded so that the token gets its length. */
export function claimsOf(iss, { delegated = false, more = {} } = {}) {
  const seconds = Math.floor(Date.now() / 1000)
  return {
    iss,
    aud: AUDIENCE,
    sub: 'user-58d1',
    client_id: 'web-shop',
    scope: `${SCOPE} orders:write profile:read`,
    iat: seconds,
    exp: seconds + LIFETIME_SECONDS,
    jti: randomUUID(),
    ...(delegated && { act: { sub: ACTOR, sub_profile: 'ai_agent' } }),
    ...more,
  }
}

const SIGNATURE_CHARACTERS = { RS256: 342, PS256: 342, ES256: 86, EdDSA: 86 }

/** The claims with an application's claim that fills the token up. */
export function padded(claims, algorithm) {
  const without = JSON.stringify({ ...claims, display: '' }).length
  const room = Math.floor(((TOKEN_CHARACTERS - SIGNATURE_CHARACTERS[algorithm] - 95) * 3) / 4)
  return { ...claims, display: 'd'.repeat(Math.max(0, room - without)) }
}

/** The header of an access token (RFC 9068 2.1). */
export function headerOf({ algorithm, kid }) {
  return { alg: algorithm, kid, typ: 'at+jwt' }
}

/**
 * Signs many different tokens, on all cores: an RS256 signature takes 20 times as long as its verification.
 * @returns {Promise<Buffer[]>} tokens as bytes: each use makes a string of its own, as a server's header is one. A string that
 *   is used twice would bring its hash along, and make every cache that hashes whole tokens look faster than it is.
 */
export async function signPool({ issuer, algorithm, count, delegated = false, more = {} }) {
  const lines = await signOnAllCores(count, { key: issuer.key(algorithm), iss: issuer.issuer, delegated, more })
  return lines.map((token) => Buffer.from(token, 'latin1'))
}

/**
 * What sign-worker.mjs makes, so many of it, in the order of the workers.
 * @returns {Promise<string[]>}
 */
export async function signOnAllCores(count, given) {
  const workers = availableParallelism()
  const firstOf = (index) => Math.floor((count * index) / workers)
  const shares = await Promise.all(
    Array.from({ length: workers }, (_, index) => inWorker({ ...given, first: firstOf(index), end: firstOf(index + 1) })),
  )
  return shares.flat()
}

function inWorker(workerData) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./sign-worker.mjs', import.meta.url), { workerData })
    worker.once('message', (text) => resolve(text.split('\n').filter(Boolean)))
    worker.once('error', reject)
  })
}

/** The token with another signature: every guard must refuse it. */
export function forged(token) {
  const at = token.length - 40
  return Buffer.from(
    token.toString('latin1').slice(0, at) + (token[at] === 65 ? 'B' : 'A') + token.toString('latin1').slice(at + 1),
  )
}

/** A fresh, flat string of a token. */
export function textOf(token) {
  return token.latin1Slice()
}

const BEARER = Buffer.from('Bearer ')

/** A fresh, flat string of a header's value. */
export function bearerOf(token) {
  return Buffer.concat([BEARER, token]).latin1Slice()
}

/** What a raw primitive is given: the signed bytes and the signature's. */
export function partsOf(token) {
  const dot = token.lastIndexOf(46)
  return { signed: token.subarray(0, dot), signature: Buffer.from(token.latin1Slice(dot + 1), 'base64url') }
}
