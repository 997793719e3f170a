import { METHODS } from 'node:http'
import type { RefusalCode } from '@behalf/core'
import {
  AuthError,
  createResourceServer,
  type NodeRequest,
  nodeRequestView,
  type ResourceServer,
  type ResourceServerOptions,
  type ResponseView,
  refusalAnswer,
} from '@behalf/core/adapter'
import { oauth } from '@behalf/core/issuers'
import fc from 'fast-check'
import { decodeProtectedHeader, EmbeddedJWK, errors, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FUZZ_FACTOR, FUZZ_SEED, FUZZ_TIMEOUT } from './support/fuzz-settings.js'
import { askRaw, parseAnswer } from './support/http.js'
import { FAMILIES, type Family, goodDrafts, type NonceStock, twistsBy } from './support/proof-arbitraries.js'
import {
  AUDIENCE,
  CLIENT_KEYS,
  type Draft,
  goodDraft,
  ISSUER,
  ISSUER_KEY,
  makeCase,
  NONCES,
  NOW_MILLISECONDS,
  NOW_SECONDS,
  PLAIN,
  PROFILES,
  type Profile,
  type ProofCase,
  SEVERAL,
  type Twist,
} from './support/proof-draft.js'
import { NEGATED } from './support/proof-jws-arbitraries.js'
import { changeJwk, EXPONENT_ONE } from './support/proof-key-arbitraries.js'
import { type OracleServer, ProofOracle } from './support/proof-oracle.js'
import { changeOrigin, toPath } from './support/proof-uri-arbitraries.js'
import { closeAll, FRAMEWORKS, type RunningApi, startApi } from './support/servers.js'

const SECRETS = { ours: 'a'.repeat(43), former: 'b'.repeat(43), 'of somebody else': 'c'.repeat(43) }
const NONCE_SECONDS = 300

function optionsOf(
  profile: Profile,
  now = NOW_MILLISECONDS,
  secrets: readonly string[] = [SECRETS.ours, SECRETS.former],
): ResourceServerOptions {
  const { publicOrigins, trustedProxies, toleranceSeconds, algorithms, nonces } = profile
  return {
    issuers: [oauth({ issuer: ISSUER, audience: AUDIENCE, jwks: { keys: [ISSUER_KEY.jwk] }, dpop: 'allow' })],
    publicOrigins,
    ...(trustedProxies.length > 0 && { trustedProxies }),
    clockToleranceSeconds: toleranceSeconds,
    dpop: {
      replay: 'single-process',
      algorithms: algorithms as Required<NonNullable<ResourceServerOptions['dpop']>>['algorithms'],
      ...(nonces && { nonce: { secret: secrets } }),
    },
    now: () => now,
  }
}

interface Refusal {
  readonly code: RefusalCode
  readonly status: number
}

/** What came of a request. */
interface Answer {
  /** `null`: it was let in. */
  readonly refusal: Refusal | null
  /** Of the answer, names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Everything that the caller or the application is told. */
  readonly told: string
}

/** Sends a case through the core, as an adapter would. Anything but a refusal that is thrown fails the test. */
async function sendToCore(server: ResourceServer, { request, peer, forwarded }: ProofCase): Promise<Answer> {
  const { method, target, host, authorization, dpop } = request
  const headers: Record<string, string> = {}
  const response: ResponseView = {
    status: 200,
    ended: false,
    header: (name) => headers[name.toLowerCase()] ?? null,
    setHeader: (name, value) => void Object.assign(headers, { [name.toLowerCase()]: value }),
    onEnd: () => {},
  }
  const incoming: NodeRequest = {
    method,
    url: target,
    headers: {
      ...Object.fromEntries(forwarded),
      ...(host !== null && { host }),
      ...(dpop.length > 0 && { dpop: dpop.join(', ') }), // as Node joins them
      ...(authorization.length > 0 && { authorization: authorization[0] }),
    },
    rawHeaders: authorization.flatMap((line) => ['Authorization', line]),
    socket: { remoteAddress: peer },
  }
  const view = nodeRequestView(incoming, { raw: incoming, originalUrl: target, originalMethod: undefined, routeOf: () => null })
  try {
    await server.authenticate()({ key: {}, request: view, response })
    return { refusal: null, headers, told: JSON.stringify(headers) }
  } catch (error) {
    if (!(error instanceof AuthError)) throw error
    const answer = refusalAnswer(error)
    const told = JSON.stringify([error, error.message, answer, headers, String(error.cause)])
    return { refusal: error, headers: { ...headers, ...answer.headers }, told }
  }
}

/** Sends a case as bytes, on a connection of its own. */
async function sendOverHttp(port: number, { request, forwarded }: ProofCase): Promise<Answer> {
  const { method, target, host, authorization, dpop } = request
  const lines = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host ?? ''}`,
    'Connection: close',
    ...authorization.map((line) => `Authorization: ${line}`),
    ...dpop.map((line) => `DPoP: ${line}`),
    ...forwarded.map(([name, value]) => `${name}: ${value}`),
  ]
  const told = await askRaw(port, `${lines.join('\r\n')}\r\n\r\n`)
  const { status, headers, body } = parseAnswer(told)
  if (status === 200) return { refusal: null, headers, told }
  if (headers['content-type'] !== 'application/problem+json') throw new Error(`answered with ${status}: ${told}`)
  return { refusal: { code: JSON.parse(body).code, status }, headers, told }
}

/** Whether Node and the framework let a case through as it is; what they refuse or trim never comes to the middleware. */
function canBeSent({ request, forwarded }: ProofCase): boolean {
  const { method, target, host, authorization, dpop } = request
  const values = [...authorization, ...dpop, ...forwarded.map(([, value]) => value), host ?? '']
  const isValue = (text: string) => /^[\t\x20-\x7e\xa0-\xff]*$/.test(text) && text === text.trim()
  const isMethod = METHODS.includes(method) && !['HEAD', 'CONNECT'].includes(method)
  const isTarget =
    /^(?:\*|\/|[a-z]+:\/\/(?!xn--)[a-z0-9.:@-]+\/)[!-~]*$/i.test(target) && (target !== '*' || method === 'OPTIONS')
  return values.every(isValue) && isMethod && isTarget && values.join('').length < 14_000
}

/** Over HTTP every request comes from this machine, which is nobody's proxy. */
const FROM_HERE: Twist = { name: 'from here', apply: (draft) => ({ ...draft, peer: '127.0.0.1' }) }

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Nonces of other replicas, and of a server that is none of them, at several times. */
async function collectNonces(): Promise<NonceStock> {
  const stock: Record<string, string> = {}
  const [key] = CLIENT_KEYS
  for (const [whose, secret] of Object.entries(SECRETS)) {
    for (const seconds of [0, -149, -151, -300, -301, -451, 4, 6, 151, 301, 1e6]) {
      const at = NOW_MILLISECONDS + seconds * 1000
      const replica = createResourceServer(optionsOf(NONCES, at, [secret]))
      if (key === undefined) throw new Error('no key')
      const draft = goodDraft(NONCES, key, 'GET', '/', 0)
      const timely: Draft = {
        ...draft,
        claims: (token) => draft.claims(token).map(([name, json]) => [name, name === 'iat' ? String(at / 1000) : json]),
      }
      const { refusal, headers } = await sendToCore(replica, makeCase(timely))
      const nonce = headers['dpop-nonce']
      if (nonce === undefined) throw new Error(`no nonce, but ${refusal?.code}`)
      stock[whose === 'ours' && seconds === 0 ? 'of now' : `${whose} ${seconds}`] = nonce
      await replica.close()
    }
  }
  return stock
}

/** RFC 9449 9: a nonce is made at the start of a step of half its life, and good until its life is over. */
function goodNonces(stock: NonceStock): ReadonlySet<string> {
  const isGood = (name: string) => {
    const [, whose = 'ours', seconds = '0'] = /^(.*) (-?\d+)$/.exec(name) ?? []
    const step = NONCE_SECONDS / 2
    const madeAt = Math.floor((NOW_SECONDS + Number(seconds)) / step) * step
    return whose !== 'of somebody else' && NOW_SECONDS >= madeAt - NONCES.toleranceSeconds && NOW_SECONDS < madeAt + NONCE_SECONDS
  }
  return new Set(Object.entries(stock).flatMap(([name, nonce]) => (isGood(name) ? [nonce] : [])))
}

const stock = await collectNonces()
const good = goodNonces(stock)

/** A server of each profile behind something that requests can be sent through. */
interface World {
  readonly send: (made: ProofCase) => Promise<Answer>
  readonly oracle: ProofOracle
  /** Whether another implementation is asked, too. */
  readonly asksPeer: boolean
}

function createWorld(asksPeer = false): World {
  const servers = new Map(PROFILES.map((profile) => [profile.name, createResourceServer(optionsOf(profile))] as const))
  return {
    oracle: new ProofOracle(NOW_SECONDS),
    asksPeer,
    send(made) {
      const server = servers.get(made.profile.name)
      if (server === undefined) throw new Error(`no server ${made.profile.name}`)
      return sendToCore(server, made)
    },
  }
}

function oracleServer(profile: Profile): OracleServer {
  return { ...profile, isNonce: profile.nonces ? (nonce) => good.has(nonce) : null }
}

/** Holds what a server says against the oracle. */
async function judge({ send, oracle, asksPeer }: World, made: ProofCase): Promise<Outcome> {
  const { profile, request, token } = made
  const [verdict, answer] = await Promise.all([oracle.foresee(oracleServer(profile), request, token), send(made)])
  const { refusal, headers, told } = answer
  expectNoEcho(told, made)
  if (refusal === null) {
    if (verdict.outcome === 'refuse') throw new Error(`accepted, in spite of ${[...verdict.codes].join(', ')}`)
    oracle.use(verdict)
    if (headers['www-authenticate'] !== undefined) throw new Error('accepted, with a challenge')
    if (asksPeer && verdict.use !== null) await expectPeerAccepts(made)
    return 'accept'
  }
  if (verdict.outcome === 'accept') throw new Error(`refused as ${refusal.code}`)
  if (!verdict.codes.has(refusal.code)) throw new Error(`refused as ${refusal.code}, and not as ${[...verdict.codes].join(', ')}`)
  expectRightAnswer(refusal, headers)
  return 'refuse'
}

type Outcome = 'accept' | 'refuse'

/** RFC 9449 7.1, 9; RFC 6750 3.1: which refusal says which error, with which status. */
const ERRORS: Readonly<Partial<Record<RefusalCode, readonly [status: number, error: string | null]>>> = {
  request_ambiguous: [400, 'invalid_request'],
  credentials_malformed: [400, 'invalid_request'],
  credentials_missing: [401, null],
  proof_nonce_required: [401, 'use_dpop_nonce'],
}

function expectRightAnswer({ code, status }: Refusal, headers: Answer['headers']): void {
  const [wantedStatus, error] = ERRORS[code] ?? [401, code.startsWith('proof_') ? 'invalid_dpop_proof' : 'invalid_token']
  if (status !== wantedStatus) throw new Error(`${code} with ${status}`)
  const challenge = headers['www-authenticate'] ?? ''
  const isRight = error === null ? !challenge.includes('error=') : challenge.includes(`error="${error}"`)
  if (!isRight) throw new Error(`${code} with the challenge ${challenge}`)
  if (status === 401 && !/(?:^|, )DPoP (?:[a-z_]+="[^"]*", )*algs="/.test(challenge))
    throw new Error(`no algorithms: ${challenge}`)
  const hasNonce = headers['dpop-nonce'] !== undefined
  if (hasNonce !== (code === 'proof_nonce_required')) throw new Error(`${code} ${hasNonce ? 'with' : 'without'} a nonce`)
}

/** Nothing that the caller has written, or that its token says, comes back. */
function expectNoEcho(told: string, { request, secrets }: ProofCase): void {
  const texts = [...secrets, 'proof-id-', 'evil.test', ...request.dpop.filter((line) => line.length > 8)]
  const leaked = texts.find((text) => told.includes(text))
  if (leaked !== undefined) throw new Error(`${leaked} is told in ${told}`)
}

/** Another implementation takes the same proof for one, as far as it looks: at its form, its key, its signature and its type. */
async function expectPeerAccepts({ request, profile }: ProofCase): Promise<void> {
  const options = {
    typ: 'dpop+jwt',
    algorithms: [...profile.algorithms],
    requiredClaims: ['jti', 'htm', 'htu', 'iat', 'ath'],
    currentDate: new Date(NOW_MILLISECONDS),
  }
  const [proof = ''] = request.dpop
  const refused = await jwtVerify(proof, EmbeddedJWK, options).then(
    () => null,
    (error: unknown) => toError(error),
  )
  if (refused !== null && !isExplained(refused, proof)) throw new Error('accepted, and jose refuses', { cause: refused })
}

/** Why jose refuses what we accept: nothing else may be accepted that it refuses. */
function isExplained(error: Error, proof: string): boolean {
  // It looks at claims that only other tokens have (RFC 7519 4.1.4, 4.1.5): a proof has no `exp` and no `nbf` that would mean anything.
  if (error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired)
    return ['nbf', 'exp'].includes(error.claim)
  // WebCrypto takes no public key that says it can sign, too; RFC 7517 4.3 does not forbid it.
  return error.name === 'SyntaxError' && decodeProtectedHeader(proof).jwk?.key_ops?.includes('sign') === true
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

/** What was reached in so many runs. */
type Reached = Readonly<Record<Outcome, number>>

type Drafts = fc.Arbitrary<() => Draft>

/** Runs a property over good drafts with changes, and says how often each outcome was reached. */
async function judgeAll(
  world: World,
  drafts: Drafts,
  changed: fc.Arbitrary<readonly Twist[]>,
  runs: number,
  fits = isAny,
): Promise<Reached> {
  const reached = { accept: 0, refuse: 0 }
  const property = fc.asyncProperty(drafts, changed, async (start, changes) => {
    const made = makeCase(changes.reduce((draft, { apply }) => apply(draft), start()))
    fc.pre(fits(made))
    reached[await judgeOr(world, made, changes)]++
  })
  await fc.assert(property, { numRuns: runs * FUZZ_FACTOR, seed: FUZZ_SEED })
  return reached
}

const isAny = (_made: ProofCase): boolean => true

/** {@link judge}, with errors that say what was sent. */
async function judgeOr(world: World, made: ProofCase, changes: readonly Twist[]): Promise<Outcome> {
  try {
    return await judge(world, made)
  } catch (error) {
    const sent = { changes: changes.map(({ name }) => name), server: made.profile.name, ...made.request, cnf: made.token.cnf }
    const parts = made.request.dpop[0]?.split('.', 2).map((part) => Buffer.from(part, 'base64url').toString('latin1'))
    throw new Error(`${error instanceof Error ? error.message : error}: ${JSON.stringify({ ...sent, parts })}`, { cause: error })
  }
}

const twists = twistsBy(stock)

/** Runs of each family, and how many of them must have come to which end: so that no property is about one answer only. */
const RUNS: Readonly<Record<Family, readonly [runs: number, accept: number, refuse: number]>> = {
  headers: [500, 90, 210],
  keys: [700, 60, 300],
  claims: [500, 120, 150],
  encodings: [420, 6, 270],
  signatures: [420, 42, 210],
  clocks: [280, 36, 120],
  methods: [210, 30, 90],
  'htu origins': [840, 120, 300],
  'paths and targets': [840, 180, 180],
  'absolute targets': [560, 90, 150],
  hosts: [420, 108, 90],
  ath: [210, 3, 120],
  nonces: [420, 60, 120],
  cnf: [420, 4, 240],
  schemes: [280, 18, 150],
}

/** What jose looks at, too. */
const ABOUT_JWS: ReadonlySet<Family> = new Set(['headers', 'keys', 'claims', 'encodings', 'signatures'])

describe.concurrent('a hostile request is let in where RFC 9449 demands it, and nowhere else', () => {
  test.each(FAMILIES)('[RFC9449-4.3-hostile] one part of it: %s', { timeout: FUZZ_TIMEOUT }, async (family) => {
    const [runs, accept, refuse] = RUNS[family]
    const reached = await judgeAll(createWorld(ABOUT_JWS.has(family)), goodDrafts(family, stock), fc.tuple(twists[family]), runs)
    expect(reached.accept, 'accepted').toBeGreaterThanOrEqual(accept * FUZZ_FACTOR)
    expect(reached.refuse, 'refused').toBeGreaterThanOrEqual(refuse * FUZZ_FACTOR)
  })

  test('[RFC9449-4.3-hostile] several parts of it at once', { timeout: FUZZ_TIMEOUT }, async () => {
    const several = fc.array(fc.oneof(...Object.values(twists)), { maxLength: 3 })
    const reached = await judgeAll(createWorld(true), goodDrafts(null, stock), several, 1000)
    expect(reached.accept, 'accepted').toBeGreaterThanOrEqual(120 * FUZZ_FACTOR)
    expect(reached.refuse, 'refused').toBeGreaterThanOrEqual(450 * FUZZ_FACTOR)
  })
})

describe.concurrent('a proof that was let in', () => {
  test('[RFC9449-4.3-mutants] holds in no other spelling: any character or bit of it changed', {
    timeout: FUZZ_TIMEOUT,
  }, async () => {
    const reached = await judgeAll(createWorld(), goodDrafts('signatures', stock), fc.tuple(oneCharacter), 500)
    expect(reached.accept).toBe(0)
  })

  test('[RFC9449-4.3-mutants] holds in no other spelling: each character of it changed, the last ones of a part in all ways', async () => {
    const world = createWorld()
    for (const key of CLIENT_KEYS.filter(({ alg }) => alg === 'ES256' || alg === 'EdDSA')) {
      const made = makeCase(goodDraft(PLAIN, key, 'GET', '/orders', 0))
      const [proof = ''] = made.request.dpop
      for (const spelling of otherSpellings(proof)) {
        const outcome = await judgeOr(world, { ...made, request: { ...made.request, dpop: [spelling] } }, [])
        if (outcome !== 'refuse') throw new Error(`${spelling} instead of ${proof}`)
      }
    }
  })

  test('[RFC9449-11.1-one-use] is used up, whatever of it can be written in another way', { timeout: FUZZ_TIMEOUT }, async () => {
    const world = createWorld()
    const harmless = fc.oneof(
      twists['htu origins'],
      twists['paths and targets'],
      twists.schemes,
      twists.hosts,
      twists.claims,
      fc.constant(NEGATED),
    )
    let replays = 0
    const property = fc.asyncProperty(goodDrafts('hosts', stock), harmless, async (start, again) => {
      const draft = start()
      if ((await judgeOr(world, makeCase(draft), [])) !== 'accept') throw new Error('a good proof was refused')
      const outcome = await judgeOr(world, makeCase(draft), [])
      if (outcome !== 'refuse') throw new Error('accepted twice')
      // Another signature, spelling or order, and the same id for the same URI: the oracle knows whether it is the same proof.
      if ((await judgeOr(world, makeCase(again.apply(draft)), [again])) === 'refuse') replays++
    })
    await fc.assert(property, { numRuns: 150 * FUZZ_FACTOR, seed: FUZZ_SEED })
    expect(replays).toBeGreaterThan(60 * FUZZ_FACTOR)
  })

  test('[RFC9449-11.1-one-use] is used up although its signature has a twin: (r, s) and (r, n - s)', async () => {
    const world = createWorld()
    for (const key of CLIENT_KEYS.filter(({ alg }) => alg.startsWith('ES'))) {
      const draft = goodDraft(PLAIN, key, 'GET', '/orders', 0)
      const [one, twin] = [makeCase(draft), makeCase(NEGATED.apply(goodDraft(PLAIN, key, 'GET', '/orders', 0)))]
      expect([await judge(world, one), await judge(world, twin)], 'both hold').toEqual(['accept', 'accept'])
      const { refusal } = await world.send(makeCase(NEGATED.apply(draft)))
      expect(refusal?.code).toBe('proof_replayed')
    }
  })
})

/** One character of a proof replaced by any other, or one bit of it changed. */
const oneCharacter = fc
  .tuple(
    fc.nat({ max: 4000 }),
    fc.oneof(
      fc.constantFrom(...BASE64URL),
      fc.nat({ max: 7 }),
      fc.nat({ max: 0x2fff }).map((unit) => String.fromCharCode(unit)),
    ),
  )
  .map(([at, how]): Twist => {
    const change = (proof: string) => {
      const index = at % proof.length
      const before = proof.charAt(index)
      const after = typeof how === 'number' ? String.fromCharCode(before.charCodeAt(0) ^ (1 << how)) : how
      return proof.slice(0, index) + (after === before ? '' : after) + proof.slice(index + 1)
    }
    return { name: `character ${at} ${how}`, apply: (draft) => ({ ...draft, written: change }) }
  })

/** Every character of a proof replaced once; those that hold bits that no byte uses by each other one. */
function otherSpellings(proof: string): readonly string[] {
  const marksFor = (index: number) =>
    [undefined, '.'].includes(proof[index + 1]) ? [...BASE64URL] : [BASE64URL.charAt(index % 64)]
  return [...proof].flatMap((mark, index) =>
    marksFor(index).map((other) => proof.slice(0, index) + (other === mark ? '' : other) + proof.slice(index + 1)),
  )
}

/** Single requests, small enough to be read, from among those that the properties make. */
const SMALL: readonly (readonly [what: string, alg: string, twist: Twist, code: RefusalCode])[] = [
  [
    'an origin of ours as the user of another host',
    'ES256',
    changeOrigin('user', (scheme, host) => `${scheme}://${host}@evil.test`),
    'proof_target_mismatch',
  ],
  [
    'a target whose port is none, with a proof for /',
    'ES256',
    toPath('port', 'http://api.example.com:99999/orders', '/'),
    'proof_target_mismatch',
  ],
  [
    'a target without a host, with a proof for its second segment',
    'ES256',
    toPath('no host', 'http:///a/b', '/b'),
    'proof_target_mismatch',
  ],
  ['a target with a backslash', 'ES256', toPath('backslash', 'http://api.example.com/a\\b', '/a/b'), 'proof_target_mismatch'],
  ['a percent sign that becomes an escape', 'ES256', toPath('percent sign', '/%%411', '/%A1'), 'proof_target_mismatch'],
  ['an RSA key without an exponent', 'RS256', changeJwk('e empty', (jwk) => ({ ...jwk, e: '' })), 'proof_key_refused'],
  ['an RSA key that needs no private key', 'RS256', EXPONENT_ONE, 'proof_key_refused'],
  ['a key in padded base64url', 'ES256', changeJwk('x padded', (jwk) => ({ ...jwk, x: `${jwk['x']}=` })), 'proof_key_refused'],
  [
    'a modulus with a zero before it',
    'RS256',
    changeJwk('n longer', (jwk) => ({ ...jwk, n: `AAAA${jwk['n']}` })),
    'proof_key_refused',
  ],
]

describe('refused for the right reason', () => {
  test.each(SMALL)('[RFC9449-4.3-hostile] %s', async (_what, alg, change, code) => {
    const world = createWorld()
    const key = CLIENT_KEYS.find((each) => each.alg === alg)
    if (key === undefined) throw new Error(`no key for ${alg}`)
    const draft = goodDraft(PLAIN, key, 'GET', '/', 0)
    expect((await world.send(makeCase(draft))).refusal, 'without the change').toBe(null)
    expect((await world.send(makeCase(change.apply(goodDraft(PLAIN, key, 'GET', '/', 0))))).refusal?.code).toBe(code)
  })

  test('[RFC9449-4.3-9-names] a name in other scripts is a name, however many URLs this process has looked at', async () => {
    // URL.canParse() of Node 20.20 says no to every text beyond ASCII, once it has been optimized.
    for (let at = 0; at < 20_000; at++) URL.canParse(`https://${at}.example.com`)
    const server = createResourceServer(optionsOf(SEVERAL))
    await server.close()
  })
})

describe.concurrent('over HTTP', () => {
  const OVER_HTTP = FRAMEWORKS.filter(({ name }) => name === 'Express 5' || name === 'Koa 3')
  const profiles = [PLAIN, SEVERAL, NONCES]
  const apis = new Map<string, RunningApi>()

  beforeAll(async () => {
    for (const framework of OVER_HTTP) {
      for (const profile of profiles) {
        const api = await startApi(framework, optionsOf(profile), (app, server, { handler }) => {
          app.use(server.authenticate()).use(handler((call) => call.json({ ok: true })))
        })
        apis.set(`${framework.name} ${profile.name}`, api)
      }
    }
  })

  afterAll(() => closeAll(apis.values()))

  test.each(OVER_HTTP.map(({ name }) => name))(
    '[RFC9449-4.3-hostile] %s comes to the same answers',
    { timeout: FUZZ_TIMEOUT },
    async (name) => {
      const world: World = {
        asksPeer: false,
        oracle: new ProofOracle(NOW_SECONDS),
        send: (made) => sendOverHttp(apis.get(`${name} ${made.profile.name}`)?.port ?? 0, made),
      }
      const drafts = goodDrafts(null, stock, profiles)
      const several = fc.array(fc.oneof(...Object.values(twists)), { maxLength: 2 })
      const reached = await judgeAll(
        world,
        drafts,
        several.map((changes) => [...changes, FROM_HERE]),
        250,
        canBeSent,
      )
      expect(reached.accept, 'accepted').toBeGreaterThanOrEqual(40 * FUZZ_FACTOR)
      expect(reached.refuse, 'refused').toBeGreaterThanOrEqual(90 * FUZZ_FACTOR)
    },
  )
})
