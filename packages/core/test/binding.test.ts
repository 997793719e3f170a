/** Whoever presents a token is the one that it is bound to: the steps, the modes, and what a used proof leaves behind. */
import type { ProofUse, RefusalCode, ReplayMemory, RequestView } from '@behalf/core'
import type { ResponseView } from '@behalf/core/adapter'
import { createDpopClient, createSigningKey, type DpopClient, TEST_ALGORITHMS } from '@behalf/testing'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { type BindingMeans, compileBinder, type Presentation } from '../src/binding/bind.js'
import type { BindingMode } from '../src/binding/binding-policy.js'
import type { Confirmation } from '../src/binding/confirmation.js'
import { createDpopJudge, type DpopJudge, type DpopSettings } from '../src/binding/dpop.js'
import { DpopNonces } from '../src/binding/dpop-nonce.js'
import { NO_PEERS } from '../src/binding/peer-networks.js'
import { PublicOrigins } from '../src/binding/public-origins.js'
import { SingleProcessMemory } from '../src/binding/replay-memory.js'
import type { Scheme } from '../src/challenge.js'
import { DEFAULT_LIMITS } from '../src/limits.js'

const NOW = 1_790_000_000
const ORIGIN = 'https://api.example.com'
const TOKEN = 'a-token'
const JKT = `${'j'.repeat(42)}A`
const CERTIFICATE = `${'c'.repeat(42)}A`

/** A response whose header fields can be looked at. */
function responseOf(headers: Record<string, string> = {}): ResponseView & { readonly headers: Record<string, string> } {
  return {
    headers,
    status: 200,
    ended: false,
    header: (name) => headers[name] ?? null,
    setHeader(name, value) {
      headers[name] = value
    },
    onEnd() {},
  }
}

function requestOf(dpop: string | null, more: Partial<RequestView> = {}): RequestView {
  return {
    method: 'GET',
    wireMethod: 'GET',
    path: '/orders',
    url: '/orders',
    route: null,
    authorization: [],
    header: (name) => (name === 'dpop' ? dpop : null),
    peer: null,
    clientCertificate: null,
    raw: null,
    ...more,
  }
}

const holds: DpopJudge = () => null
const EXCHANGE = { request: requestOf(null), response: responseOf() }

describe('a binder', () => {
  const certificate = () => CERTIFICATE

  test.each<[string, BindingMeans, readonly string[]]>([
    ['nothing is configured', { dpop: null, certificate: null }, []],
    ['proofs are', { dpop: holds, certificate: null }, ['dpop']],
    ['certificates are', { dpop: null, certificate }, ['certificate']],
    ['both are: the proof, which is used up, comes last', { dpop: holds, certificate }, ['certificate', 'dpop']],
  ])('has the steps that are needed where %s', (_what, means, steps) => {
    const binder = compileBinder(means)
    expect(binder.steps).toEqual(steps)
    expect(binder.prepare, 'only a connection can take its certificate along').toBeNull()
    expect(Object.isFrozen(binder.steps)).toBe(true)
  })

  const NOT_BOUND = null
  const KEY: Confirmation = { jkt: JKT, certificate: null }
  const CERT: Confirmation = { jkt: null, certificate: CERTIFICATE }
  const BOTH: Confirmation = { jkt: JKT, certificate: CERTIFICATE }
  type Row = [dpop: BindingMode, mtls: BindingMode, Scheme, Presentation['confirmation'], RefusalCode | null]

  /** What comes of a presentation, where every step would find that it holds. */
  const outcome = ([dpop, mtls, scheme, confirmation]: Row, exchange: Presentation['exchange'], means: BindingMeans) =>
    compileBinder(means).bind({ token: TOKEN, anew: true, scheme, confirmation, policy: { dpop, mtls }, exchange })

  const ROWS: Row[] = [
    ['off', 'off', 'Bearer', NOT_BOUND, null],
    ['off', 'off', 'Bearer', KEY, 'binding_unsupported'],
    ['off', 'off', 'Bearer', CERT, 'binding_unsupported'],
    ['off', 'off', 'Bearer', BOTH, 'binding_unsupported'],
    ['off', 'off', 'Bearer', 'unsupported', 'binding_unsupported'],
    ['off', 'off', 'DPoP', NOT_BOUND, 'binding_unsupported'],
    ['off', 'off', 'DPoP', KEY, 'binding_unsupported'],
    ['off', 'off', 'DPoP', CERT, 'binding_unsupported'],
    ['off', 'off', 'DPoP', 'unsupported', 'binding_unsupported'],
    ['allow', 'off', 'Bearer', NOT_BOUND, null],
    ['allow', 'off', 'Bearer', KEY, 'sender_mismatch'],
    ['allow', 'off', 'Bearer', CERT, 'binding_unsupported'],
    ['allow', 'off', 'Bearer', BOTH, 'binding_unsupported'],
    ['allow', 'off', 'Bearer', 'unsupported', 'binding_unsupported'],
    ['allow', 'off', 'DPoP', NOT_BOUND, 'sender_mismatch'],
    ['allow', 'off', 'DPoP', KEY, null],
    ['allow', 'off', 'DPoP', CERT, 'binding_unsupported'],
    ['allow', 'off', 'DPoP', BOTH, 'binding_unsupported'],
    ['allow', 'off', 'DPoP', 'unsupported', 'binding_unsupported'],
    ['require', 'off', 'Bearer', NOT_BOUND, 'binding_required'],
    ['require', 'off', 'Bearer', KEY, 'sender_mismatch'],
    ['require', 'off', 'Bearer', 'unsupported', 'binding_unsupported'],
    ['require', 'off', 'DPoP', NOT_BOUND, 'binding_required'],
    ['require', 'off', 'DPoP', KEY, null],
    ['require', 'off', 'DPoP', 'unsupported', 'binding_unsupported'],
    ['off', 'allow', 'Bearer', NOT_BOUND, null],
    ['off', 'allow', 'Bearer', KEY, 'binding_unsupported'],
    ['off', 'allow', 'Bearer', CERT, null],
    ['off', 'allow', 'Bearer', BOTH, 'binding_unsupported'],
    ['off', 'allow', 'DPoP', CERT, 'binding_unsupported'],
    ['off', 'require', 'Bearer', NOT_BOUND, 'binding_required'],
    ['off', 'require', 'Bearer', CERT, null],
    ['allow', 'allow', 'Bearer', NOT_BOUND, null],
    ['allow', 'allow', 'Bearer', KEY, 'sender_mismatch'],
    ['allow', 'allow', 'Bearer', CERT, null],
    ['allow', 'allow', 'Bearer', BOTH, 'sender_mismatch'],
    ['allow', 'allow', 'DPoP', NOT_BOUND, 'sender_mismatch'],
    ['allow', 'allow', 'DPoP', KEY, null],
    ['allow', 'allow', 'DPoP', CERT, 'sender_mismatch'],
    ['allow', 'allow', 'DPoP', BOTH, null],
    ['require', 'allow', 'Bearer', CERT, 'binding_required'],
    ['require', 'allow', 'DPoP', BOTH, null],
    ['allow', 'require', 'DPoP', KEY, 'binding_required'],
    ['allow', 'require', 'Bearer', CERT, null],
    ['require', 'require', 'DPoP', KEY, 'binding_required'],
    ['require', 'require', 'Bearer', CERT, 'binding_required'],
    ['require', 'require', 'DPoP', BOTH, null],
  ]

  test.each(ROWS)('dpop %s, mtls %s, on %s, bound to %j: %j', (...row) => {
    const refusal = row[4]
    expect(outcome(row, EXCHANGE, { dpop: holds, certificate })).toBe(refusal)
  })

  test.each(ROWS)('without a request, dpop %s, mtls %s, on %s, bound to %j: nothing that is bound is let through', (...row) => {
    const [, , , confirmation, refusal] = row
    const expected = confirmation !== null ? 'binding_unsupported' : refusal
    expect(outcome(row, null, { dpop: holds, certificate })).toBe(expected)
  })

  test.each(ROWS)(
    'where nothing checks, dpop %s, mtls %s, on %s, bound to %j: nothing that is bound is let through',
    (...row) => {
      const [, , scheme, confirmation] = row
      const expected = confirmation === null && scheme === 'Bearer' ? null : 'binding_unsupported'
      expect(outcome(row, EXCHANGE, { dpop: null, certificate: null })).toBe(expected)
    },
  )

  test('where only one of them is checked, a token that is bound in the other way, or in both, is refused', () => {
    const policy = { dpop: 'allow', mtls: 'allow' } as const
    const noKeys = compileBinder({ dpop: null, certificate })
    const noCertificates = compileBinder({ dpop: holds, certificate: null })
    const bind = (binder: typeof noKeys, scheme: Scheme, confirmation: Confirmation) =>
      binder.bind({ token: TOKEN, anew: true, scheme, confirmation, policy, exchange: EXCHANGE })
    expect([bind(noKeys, 'DPoP', KEY), bind(noKeys, 'DPoP', BOTH)]).toEqual(['binding_unsupported', 'binding_unsupported'])
    expect([bind(noCertificates, 'Bearer', CERT), bind(noCertificates, 'DPoP', BOTH)]).toEqual([
      'binding_unsupported',
      'binding_unsupported',
    ])
    expect([bind(noKeys, 'Bearer', CERT), bind(noCertificates, 'DPoP', KEY)]).toEqual([null, null])
  })

  test('each step refuses by itself; where the certificate is wrong, the proof is not used up', async () => {
    let judged = 0
    const dpop =
      (refusal: RefusalCode | null, later = false): DpopJudge =>
      () => {
        judged++
        return later ? Promise.resolve(refusal) : refusal
      }
    const bind = (means: BindingMeans) =>
      compileBinder(means).bind({
        token: TOKEN,
        anew: true,
        scheme: 'DPoP',
        confirmation: BOTH,
        policy: { dpop: 'allow', mtls: 'allow' },
        exchange: EXCHANGE,
      })
    expect(bind({ dpop: dpop(null), certificate: () => JKT })).toBe('sender_mismatch')
    expect(bind({ dpop: dpop(null), certificate: () => null })).toBe('sender_mismatch')
    expect(judged).toBe(0)
    expect(bind({ dpop: dpop('proof_expired'), certificate })).toBe('proof_expired')
    await expect(bind({ dpop: dpop('proof_replayed', true), certificate })).resolves.toBe('proof_replayed')
    expect(judged).toBe(2)
  })

  test('the judge is asked about this request, this token and the key that it is bound to', () => {
    const asked: unknown[] = []
    const dpop: DpopJudge = (...all) => {
      asked.push(...all)
      return null
    }
    compileBinder({ dpop, certificate: null }).bind({
      token: TOKEN,
      anew: true,
      scheme: 'DPoP',
      confirmation: KEY,
      policy: { dpop: 'allow', mtls: 'off' },
      exchange: EXCHANGE,
    })
    expect(asked).toEqual([{ ...EXCHANGE, token: TOKEN, jkt: JKT, anew: true }])
  })

  test('an unbound token on Bearer is asked for nothing at all', () => {
    const never = () => {
      throw new Error('asked')
    }
    const { bind } = compileBinder({ dpop: never, certificate: never })
    const policy = { dpop: 'allow', mtls: 'allow' } as const
    expect(bind({ token: TOKEN, anew: true, scheme: 'Bearer', confirmation: null, policy, exchange: EXCHANGE })).toBeNull()
  })
})

describe('a judge of proofs', () => {
  const client = createDpopClient({ now: () => NOW * 1000 })
  const other = createDpopClient({ now: () => NOW * 1000 })
  afterEach(() => {
    vi.useRealTimers()
  })

  function judgeOf(replay: ReplayMemory, more: Partial<DpopSettings> = {}) {
    const judge = createDpopJudge({
      origins: new PublicOrigins([ORIGIN], NO_PEERS),
      algorithms: new Set(TEST_ALGORITHMS),
      replay,
      nonces: null,
      toleranceSeconds: 5,
      limits: DEFAULT_LIMITS,
      now: () => NOW * 1000,
      ...more,
    })
    return async (
      dpop: string | null,
      response = responseOf(),
      token = TOKEN,
      jkt = client.jkt,
      more: Partial<RequestView> = {},
    ) => judge({ request: requestOf(dpop, more), response, token, jkt, anew: false })
  }

  function proofOf(overrides: Parameters<DpopClient['proof']>[2] = {}, by = client, path = '/orders', method = 'GET'): string {
    return by.proof(method, ORIGIN + path, { token: TOKEN, ...overrides })
  }

  /** A memory that keeps what it was told, and answers as it is made to. */
  function told(answer: (use: ProofUse) => unknown = () => true): ReplayMemory & { readonly uses: ProofUse[] } {
    const uses: ProofUse[] = []
    return {
      uses,
      use(proof) {
        uses.push(proof)
        return answer(proof) as boolean
      },
    }
  }

  const fresh = () => new SingleProcessMemory(100, 75_000)

  test('lets each proof through once', async () => {
    const judge = judgeOf(fresh())
    const proof = proofOf()
    expect([await judge(proof), await judge(proof), await judge(proofOf())]).toEqual([null, 'proof_replayed', null])
  })

  test('of many at the same time exactly one is the first', async () => {
    const judge = judgeOf(fresh())
    const proof = proofOf()
    const answers = await Promise.all(Array.from({ length: 100 }, () => judge(proof)))
    expect(answers.filter((answer) => answer === null)).toHaveLength(1)
    expect(answers.filter((answer) => answer === 'proof_replayed')).toHaveLength(99)
  })

  test('a jti that was used is used for the key and the URI, however else the proof differs', async () => {
    const judge = judgeOf(fresh())
    const claims = { jti: 'once' }
    expect(await judge(proofOf({ claims }))).toBeNull()
    expect(await judge(proofOf({ claims: { ...claims, iat: NOW - 1 } }))).toBe('proof_replayed')
    expect(
      await judge(proofOf({ claims }, client, '/orders', 'POST'), responseOf(), TOKEN, client.jkt, { wireMethod: 'POST' }),
    ).toBe('proof_replayed')
    expect(await judge(proofOf({ claims, token: 'other' }), responseOf(), 'other')).toBe('proof_replayed')
    expect(await judge(proofOf({ claims: { ...claims, htu: `${ORIGIN}:443/%6Frders?q` } }))).toBe('proof_replayed')
  })

  test('the same jti under another key, or for another URI, is another one', async () => {
    const judge = judgeOf(fresh())
    const claims = { jti: 'once' }
    expect(await judge(proofOf({ claims }))).toBeNull()
    expect(await judge(proofOf({ claims }, other), responseOf(), TOKEN, other.jkt)).toBeNull()
    expect(await judge(proofOf({ claims }, client, '/refunds'), responseOf(), TOKEN, client.jkt, { path: '/refunds' })).toBeNull()
    expect(await judge(proofOf({ claims: { jti: 'Once' } }))).toBeNull()
  })

  test('what the memory is told holds nothing of a proof but a digest, and how long it counts', async () => {
    const memory = told()
    const claims = { jti: 'j-1', iat: NOW - 10 }
    expect(await judgeOf(memory)(proofOf({ claims }))).toBeNull()
    const [use] = memory.uses
    expect(use).toEqual({
      id: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      acceptableFrom: (NOW - 10 - 10) * 1000,
      acceptableUntil: (NOW - 10 + 60 + 10) * 1000,
      now: NOW * 1000,
    })
    expect(JSON.stringify(use)).not.toContain('j-1')
  })

  test('how long a use counts covers every replica that could accept the proof', async () => {
    for (const toleranceSeconds of [0, 5, 300]) {
      const memory = told()
      const judgeAt = (now: number) => judgeOf(memory, { toleranceSeconds, now: () => now * 1000 })
      // At the ends of what this server accepts.
      for (const now of [NOW - toleranceSeconds, NOW + 59.999 + toleranceSeconds]) {
        expect(await judgeAt(now)(proofOf())).toBeNull()
      }
      for (const { acceptableFrom, acceptableUntil, now } of memory.uses) {
        expect(acceptableFrom).toBeLessThanOrEqual(now - toleranceSeconds * 1000)
        expect(acceptableUntil).toBeGreaterThan(now + toleranceSeconds * 1000)
      }
    }
  })

  test('parts that run into each other are different uses', async () => {
    const memory = told()
    const judge = judgeOf(memory)
    const at = (path: string, jti: string) =>
      judge(proofOf({ claims: { jti } }, client, path), responseOf(), TOKEN, client.jkt, { path })
    await at('/a', 'bc')
    await at('/ab', 'c')
    await at('/a', '","bc')
    await at('/a', '\ud800')
    await at('/a', '\udfff')
    await at('/a', '\ufffd')
    expect(new Set(memory.uses.map(({ id }) => id)).size).toBe(6)
  })

  test.each<[string, RefusalCode, string | null, Partial<DpopSettings>?]>([
    ['no proof', 'proof_missing', null],
    ['no JWT', 'proof_malformed', 'x'],
    ['an algorithm that is not accepted', 'proof_algorithm_refused', proofOf(), { algorithms: new Set(['RS256']) }],
    ['a key that is none', 'proof_key_refused', proofOf({ header: { jwk: {} } })],
    ['a signature that does not hold', 'proof_signature_invalid', proofOf({ key: createSigningKey('ES256') })],
    ['another key', 'sender_mismatch', proofOf({}, other)],
    ['another method', 'proof_method_mismatch', proofOf({ claims: { htm: 'POST' } })],
    ['another URI', 'proof_target_mismatch', proofOf({ claims: { htu: `${ORIGIN}/` } })],
    ['another origin', 'proof_target_mismatch', proofOf(), { origins: new PublicOrigins(['https://a.test', ORIGIN], NO_PEERS) }],
    ['another token', 'proof_token_mismatch', proofOf({ token: 'other' })],
    ['the past', 'proof_expired', proofOf({ claims: { iat: NOW - 65 } })],
    ['the future', 'proof_not_yet_valid', proofOf({ claims: { iat: NOW + 6 } })],
    ['no nonce', 'proof_nonce_required', proofOf(), { nonces: new DpopNonces([new Uint8Array(32)], 300) }],
  ])('what is refused for another reason uses nothing up: %s', async (_what, refusal, proof, more = {}) => {
    const memory = told()
    const response = responseOf()
    expect(await judgeOf(memory, more)(proof, response)).toBe(refusal)
    expect(memory.uses).toEqual([])
    expect(response.headers).toEqual({})
  })

  test('a proof that was refused for a nonce is still a good one with it', async () => {
    const nonces = new DpopNonces([new Uint8Array(32)], 300)
    const judge = judgeOf(fresh(), { nonces })
    expect(await judge(proofOf({ claims: { jti: 'once' } }))).toBe('proof_nonce_required')
    expect(await judge(proofOf({ claims: { jti: 'once' }, nonce: nonces.current(NOW) }))).toBeNull()
  })

  describe('a memory', () => {
    test.each<[string, () => unknown, RefusalCode | null]>([
      ['answers true', () => true, null],
      ['answers false', () => false, 'proof_replayed'],
      ['promises true', async () => true, null],
      ['promises false', async () => false, 'proof_replayed'],
      // biome-ignore lint/suspicious/noThenProperty: a promise of another library
      ["answers with another library's promise", () => ({ then: (done: (value: boolean) => void) => done(true) }), null],
      ['throws', () => raise(new Error('store')), 'replay_unavailable'],
      ['throws nothing that is an error', () => raise(null), 'replay_unavailable'],
      ['rejects', async () => raise(new Error('store')), 'replay_unavailable'],
      ['rejects with true', async () => raise(true), 'replay_unavailable'],
      ['answers nothing', () => undefined, 'replay_unavailable'],
      ['answers null', () => null, 'replay_unavailable'],
      ['answers 1', () => 1, 'replay_unavailable'],
      ['answers "OK"', () => 'OK', 'replay_unavailable'],
      ['answers an object', () => ({ first: true }), 'replay_unavailable'],
      ['promises 1', async () => 1, 'replay_unavailable'],
      ['promises nothing', async () => undefined, 'replay_unavailable'],
      ['promises 0', async () => 0, 'replay_unavailable'],
    ])('that %s', async (_what, answer, refusal) => {
      expect(await judgeOf(told(answer))(proofOf())).toBe(refusal)
    })

    test('that is full refuses, and lets nobody through', async () => {
      const judge = judgeOf(new SingleProcessMemory(1, 75_000))
      const proof = proofOf()
      expect([await judge(proof), await judge(proofOf()), await judge(proof)]).toEqual([
        null,
        'replay_unavailable',
        'proof_replayed',
      ])
    })

    test('that never answers is waited for as long as was said, and not longer', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      let isAsked: () => void = () => {}
      const begins = new Promise<void>((resolve) => {
        isAsked = resolve
      })
      const judge = judgeOf(
        told(() => {
          isAsked()
          return new Promise(() => {})
        }),
      )
      let answer: unknown = 'none yet'
      const asked = judge(proofOf()).then((refusal) => {
        answer = refusal
      })
      await begins
      expect(vi.getTimerCount()).toBe(1)
      await vi.advanceTimersByTimeAsync(DEFAULT_LIMITS.replayMilliseconds - 1)
      expect(answer).toBe('none yet')
      await vi.advanceTimersByTimeAsync(1)
      await asked
      expect(answer).toBe('replay_unavailable')
      expect(vi.getTimerCount()).toBe(0)
    })

    test('that answers, or fails, too late changes nothing any more', async () => {
      let settle: (value: boolean) => void = () => {}
      let fail: (error: unknown) => void = () => {}
      const answers = [
        new Promise<boolean>((resolve) => {
          settle = resolve
        }),
        new Promise<boolean>((_, reject) => {
          fail = reject
        }),
      ]
      const limits = { ...DEFAULT_LIMITS, replayMilliseconds: 1 }
      const judge = judgeOf(
        told(() => answers.shift()),
        { limits },
      )
      expect(await judge(proofOf())).toBe('replay_unavailable')
      expect(await judge(proofOf())).toBe('replay_unavailable')
      settle(true)
      fail(new Error('late')) // a rejection that nobody took would end the process
      await new Promise((resolve) => setImmediate(resolve))
    })
  })

  describe('nonces', () => {
    const nonces = new DpopNonces([new Uint8Array(32).fill(7)], 300)
    const current = nonces.current(NOW)
    const older = nonces.current(NOW - 150)

    test('one that is current is answered with nothing', async () => {
      const response = responseOf()
      expect(await judgeOf(fresh(), { nonces })(proofOf({ nonce: current }), response)).toBeNull()
      expect(response.headers).toEqual({})
    })

    test('one that will soon be too old is answered with the next one, which scripts may read', async () => {
      const response = responseOf({ 'access-control-expose-headers': 'X-Total, dpop-nonce-2' })
      expect(await judgeOf(fresh(), { nonces })(proofOf({ nonce: older }), response)).toBeNull()
      expect(response.headers).toMatchObject({
        'dpop-nonce': current,
        'access-control-expose-headers': 'X-Total, dpop-nonce-2, DPoP-Nonce',
      })
    })

    test('where none are asked for, whatever a proof says is let be', async () => {
      for (const nonce of [1, null, '', 'n', [current]]) {
        expect(await judgeOf(fresh())(proofOf({ claims: { nonce } }))).toBeNull()
      }
    })
  })
})

function raise(error: unknown): never {
  throw error
}
