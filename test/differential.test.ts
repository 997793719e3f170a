import { isDeepStrictEqual } from 'node:util'
import type { Algorithm, JsonObject, RefusalCode } from '@behalf/core'
import { AuthError, createResourceServer } from '@behalf/core/adapter'
import { oauth } from '@behalf/core/issuers'
import { createSigningKey, type SigningKey, TEST_ALGORITHMS } from '@behalf/testing'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { expect, test } from 'vitest'
import { isName } from './support/delegation-oracle.js'
import { sealFor } from './support/encryption.js'
import { ENDINGS, LONGEST_SECONDS, NO_JWT } from './support/endings.js'
import { FUZZ_FACTOR, FUZZ_SEED, FUZZ_TIMEOUT } from './support/fuzz-settings.js'
import { isStrictJson } from './support/json-oracle.js'
import { withSwitchedOn } from './support/switched-on.js'
import { type Material, MUTATIONS, type Mutation, Random, type SignedToken, signClaims } from './support/token-mutations.js'

const ISSUER = 'https://as.example.com'
const AUDIENCE = 'https://api.example.com'
const MUTANTS = 20_500
const AT_ONCE = 64
/** Half a second past, so that whole and broken seconds differ. */
const NOW_SECONDS = 1_790_000_000
const NOW_MILLISECONDS = NOW_SECONDS * 1000 + 500
const TOLERANCE_SECONDS = 60

type Family = readonly [name: string, mutate: Mutation]

/** A token that jose accepts and we refuse. */
interface Disputed {
  readonly token: string
  /** The same as it was shown to us. */
  readonly shown: string
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

/** Why we refuse what jose accepts: nothing else may be refused. */
interface Reason {
  readonly code: RefusalCode
  readonly why: string
  /** Whether the reason is true of a token. */
  readonly fits: (disputed: Disputed) => boolean
}

const TOO_LONG_TO_BE_ENDED: Reason = {
  code: 'claim_invalid',
  why: 'lives longer than a revocation of it would be kept',
  fits: ({ claims }) => Number(claims['exp']) - Number(claims['iat']) > LONGEST_SECONDS,
}

const REASONS: readonly Reason[] = [
  {
    code: 'token_malformed',
    why: 'base64url in another spelling (padding, loose bits, white space): one token, one text',
    fits: ({ token }) => token.split('.').some((part) => Buffer.from(part, 'base64url').toString('base64url') !== part),
  },
  {
    code: 'token_malformed',
    why: 'duplicate members, nesting beyond 32 or a byte order mark: parsers disagree about such texts',
    fits: ({ token }) => token.split('.', 2).some((part) => !isStrictJson(Buffer.from(part, 'base64url').toString(), 32)),
  },
  { code: 'token_malformed', why: 'longer than 16 KiB', fits: ({ shown }) => shown.length > 16 * 1024 },
  {
    code: 'token_malformed',
    why: 'no critical extension is understood, not even one that changes nothing (b64: true)',
    fits: ({ header }) => Object.hasOwn(header, 'crit'),
  },
  {
    code: 'claim_invalid',
    why: 'identifiers, audiences and scopes are clean strings of bounded length; jose compares iss and aud only',
    fits: ({ claims }) => !hasCleanNames(claims),
  },
  {
    code: 'claim_invalid',
    why: 'a time beyond the numbers (1e400) never comes, or never passes',
    fits: ({ claims }) => ['exp', 'nbf', 'iat'].some((name) => Math.abs(Number(claims[name] ?? 0)) === Number.POSITIVE_INFINITY),
  },
  {
    code: 'token_not_yet_valid',
    why: 'iat in the future; jose looks at it only with maxTokenAge',
    fits: ({ claims }) => Number(claims['iat']) > NOW_SECONDS + TOLERANCE_SECONDS,
  },
  {
    code: 'token_expired',
    why: 'the clock has broken seconds; jose cuts them off',
    fits: ({ claims }) => Number(claims['exp']) + TOLERANCE_SECONDS <= NOW_MILLISECONDS / 1000,
  },
  ...(ENDINGS ? [TOO_LONG_TO_BE_ENDED] : []),
  {
    code: 'delegation_malformed',
    why: 'who acts cannot be read',
    fits: ({ claims }) => Object.hasOwn(claims, 'act') || Object.hasOwn(claims, 'may_act'),
  },
  {
    code: 'delegation_foreign',
    why: 'a delegation claim that is not read for this issuer',
    fits: ({ claims }) => ['act_as', 'impersonator', 'ext'].some((name) => Object.hasOwn(claims, name)),
  },
  {
    code: 'binding_unsupported',
    why: 'bound to its sender, and there is no request here that could prove anything',
    fits: ({ claims }) => Object.hasOwn(claims, 'cnf'),
  },
]

function hasCleanNames(claims: Disputed['claims']): boolean {
  const { aud, scope } = claims
  const names = [claims['sub'], claims['client_id'], claims['jti'], ...(Array.isArray(aud) ? aud : [aud])]
  const profile = claims['sub_profile'] ?? (Object.hasOwn(claims, 'sub_profile') ? null : 'none')
  const words = typeof scope === 'string' ? scope.split(' ').filter((word) => word !== '') : [scope]
  return [...names, profile, ...(Object.hasOwn(claims, 'scope') ? words : [])].every(isName)
}

/** Mutations that change nothing that matters: both accept every one. */
const HARMLESS = ['unchanged', 'negatedS', 'harmlessClaims']

const CLAIMS: JsonObject = {
  iss: ISSUER,
  aud: AUDIENCE,
  sub: 'user-1',
  client_id: 'client-1',
  scope: 'orders:read orders:write',
  iat: NOW_SECONDS - 60,
  exp: NOW_SECONDS + 540,
  jti: 'j-1',
}

/** A key that does not say its algorithm. */
function openKey(algorithm: Algorithm): SigningKey {
  const key = createSigningKey(algorithm, { kid: `open-${algorithm}` })
  const { alg: _, ...jwk } = key.jwk
  return { ...key, jwk }
}

function createMaterial(): Material {
  const rsa = createSigningKey('RS256')
  const { privateKey } = rsa
  const named = TEST_ALGORITHMS.map((algorithm) => {
    if (rsa.jwk['kty'] !== 'RSA' || !/^[RP]S/.test(algorithm)) return createSigningKey(algorithm)
    return { algorithm, kid: `shared-${algorithm}`, privateKey, jwk: { ...rsa.jwk, kid: `shared-${algorithm}`, alg: algorithm } }
  })
  const keys = [...named, openKey('RS256'), openKey('ES256')]
  // RSA and the larger curves take long to sign, and jose long to check.
  const often = (algorithm: Algorithm) => (algorithm === 'EdDSA' ? 14 : algorithm === 'ES256' ? 9 : 1)
  const signers = named.flatMap((key) => Array.from({ length: often(key.algorithm) }, () => key))
  const payloads = [
    { sub: 'user-2', jti: 'j-2' },
    { sub: 'admin-1', jti: 'j-3', act: { sub: 'agent-7' } },
  ].map((changed) => JSON.stringify({ ...CLAIMS, ...changed }))
  const tokens: SignedToken[] = [...signers, ...keys].flatMap((key) =>
    payloads.map((payload) => ({ text: signClaims(key, payload), key })),
  )
  const stranger = createSigningKey('EdDSA')
  return { tokens, signers, keys, stranger, claims: CLAIMS, nowSeconds: NOW_SECONDS, toleranceSeconds: TOLERANCE_SECONDS }
}

test('whatever jose refuses, we refuse; what we refuse beyond that has a reason on a closed list', {
  timeout: FUZZ_TIMEOUT,
}, async () => {
  const material = createMaterial()
  const jwks = { keys: material.keys.map(({ jwk }) => jwk) }
  const options = withSwitchedOn({
    issuers: [oauth({ issuer: ISSUER, audience: AUDIENCE, jwks })],
    clockToleranceSeconds: TOLERANCE_SECONDS,
    now: () => NOW_MILLISECONDS,
  })
  const server = createResourceServer(options)
  const seal = sealFor(options)
  const joseKeys = createLocalJWKSet(jwks)
  const joseOptions = {
    issuer: ISSUER,
    audience: AUDIENCE,
    typ: 'at+jwt',
    algorithms: [...TEST_ALGORITHMS],
    clockTolerance: TOLERANCE_SECONDS,
    currentDate: new Date(NOW_MILLISECONDS),
    requiredClaims: ['iss', 'sub', 'aud', 'exp', 'client_id', 'iat', 'jti'],
  }
  // The originals are proved first, so that mutants meet a full cache.
  for (const { text } of material.tokens) await server.verify(seal(text))

  const random = new Random(FUZZ_SEED)
  const families: readonly Family[] = Object.entries(MUTATIONS)
  const mutants = new Map<string, number>()
  const accepted = new Map<string, number>()
  const algorithms = new Set<unknown>()
  const found = new Set<Reason>()
  let [acceptedByBoth, refusedByBoth, hits] = [0, 0, 0]

  const compare = async (family: string, token: string): Promise<void> => {
    const shown = seal(token)
    const [ours, theirs] = await Promise.all([
      server.verify(shown).catch((error: unknown) => toError(error)),
      jwtVerify(token, joseKeys, joseOptions).catch((error: unknown) => toError(error)),
    ])
    const fail = (what: string, cause: Error | null = null): never => {
      throw new Error(`${family}: ${what}: ${JSON.stringify(token)} with ${JSON.stringify(jwks)}`, { cause })
    }
    // Asked again, now that it is known where it was accepted.
    const again = await server.verify(shown).catch((error: unknown) => toError(error))
    if (again !== ours && !isDeepStrictEqual(answerOf(again), answerOf(ours))) return fail('answered differently the second time')
    if (again === ours) hits++
    mutants.set(family, (mutants.get(family) ?? 0) + 1)
    if (ours instanceof Error) {
      if (!(ours instanceof AuthError) || ours.status !== 401) return fail('no refusal but an error', ours)
      if (theirs instanceof Error) {
        refusedByBoth++
        return
      }
      const disputed = { token, shown, header: theirs.protectedHeader, claims: theirs.payload }
      // What is malformed so far that it is no JWT by its shape is asked about where somebody can be asked.
      const ourCode = ours.code === NO_JWT ? 'token_malformed' : ours.code
      const reason = REASONS.find(({ code, fits }) => code === ourCode && fits(disputed))
      if (reason === undefined) return fail(`${ours.code} without a reason on the list, and jose accepts`)
      found.add(reason)
      return
    }
    if (theirs instanceof Error) return fail('we accept what jose refuses', theirs)
    const { payload, protectedHeader } = theirs
    const { subject, token: told } = ours
    expect([subject.id, told.expiresAt, told.id, told.algorithm]).toEqual([
      payload.sub,
      payload.exp,
      payload.jti,
      protectedHeader.alg,
    ])
    algorithms.add(told.algorithm)
    accepted.set(family, (accepted.get(family) ?? 0) + 1)
    acceptedByBoth++
  }

  for (let made = 0; made < MUTANTS * FUZZ_FACTOR; made += AT_ONCE) {
    const batch = Array.from({ length: AT_ONCE }, (_, index) => families[(made + index) % families.length] as Family)
    await Promise.all(batch.map(([family, mutate]) => compare(family, mutate(random, material))))
  }

  expect([...mutants.values()].reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(20_000 * FUZZ_FACTOR)
  expect(acceptedByBoth).toBeGreaterThanOrEqual(3000 * FUZZ_FACTOR)
  expect(refusedByBoth).toBeGreaterThanOrEqual(10_000 * FUZZ_FACTOR)
  expect(hits, 'the same context again').toBeGreaterThan(acceptedByBoth * 0.95)
  expect([...algorithms].sort()).toEqual([...TEST_ALGORITHMS].sort())
  for (const family of HARMLESS) expect(accepted.get(family), family).toBe(mutants.get(family))
  // A reason that nothing needs would only hide the next mistake.
  expect(REASONS.filter((reason) => !found.has(reason)).map(({ why }) => why)).toEqual([])
})

function answerOf(result: unknown): unknown {
  return result instanceof AuthError ? result.code : result
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
