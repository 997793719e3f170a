/** The parts of a remote key set, each alone: what holds for any sequence of events. */
import type { Algorithm, Fetch } from '@behalf/core'
import { createSigningKey } from '@behalf/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BackOff } from '../src/keys/back-off.js'
import { FetchBudget } from '../src/keys/fetch-budget.js'
import { FetchError, fetchJson } from '../src/keys/fetch-json.js'
import { KeySnapshot } from '../src/keys/key-set.js'
import { RemoteDocument } from '../src/keys/remote-document.js'
import { UnknownKeys } from '../src/keys/unknown-keys.js'
import { importJwk, type VerificationKey, withThumbprint } from '../src/keys/verification-key.js'
import { DEFAULT_LIMITS } from '../src/limits.js'
import { GOOD_SET } from './support/key-apis.js'

const START = 1_790_000_000_000

describe('FetchBudget', () => {
  const steps = fc.array(fc.integer({ min: 0, max: 12_000 }), { maxLength: 200 })

  test('[BEHALF-unknown-kid] never gives more in any time than three and one for each 5 s of it', () => {
    fc.assert(
      fc.property(steps, (pauses) => {
        const budget = new FetchBudget(3, 5)
        const spent: number[] = []
        let now = START
        for (const pause of pauses) {
          now += pause
          if (budget.spend(now)) spent.push(now)
        }
        for (const [from, began] of spent.entries()) {
          for (const [to, ended] of spent.entries()) {
            if (to >= from) expect(to - from + 1).toBeLessThanOrEqual(3 + Math.floor((ended - began) / 5_000))
          }
        }
      }),
    )
  })

  test('gives again exactly when it said it would', () => {
    fc.assert(
      fc.property(steps, (pauses) => {
        const budget = new FetchBudget(3, 5)
        let now = START
        for (const pause of pauses) {
          now += pause
          const wait = budget.waitMilliseconds(now)
          expect(wait).toBeGreaterThanOrEqual(0)
          expect(wait).toBeLessThanOrEqual(5_000)
          expect(budget.spend(now)).toBe(wait === 0)
        }
        now += budget.waitMilliseconds(now)
        expect(budget.spend(now)).toBe(true)
      }),
    )
  })

  test('has one more after 5 s, on the millisecond, and never more than three', () => {
    const budget = new FetchBudget(3, 5)
    expect([1, 2, 3, 4].map(() => budget.spend(START))).toEqual([true, true, true, false])
    expect([budget.spend(START + 4_999), budget.waitMilliseconds(START + 4_999)]).toEqual([false, 1])
    expect([budget.spend(START + 5_000), budget.spend(START + 5_000)]).toEqual([true, false])
    const later = START + 1_000_000
    expect([1, 2, 3, 4].map(() => budget.spend(later))).toEqual([true, true, true, false])
  })

  test('a clock that is set back gives nothing away, and takes no more than 5 s', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000_000 }), fc.integer({ min: 0, max: 4_999 }), (back, after) => {
        const budget = new FetchBudget(3, 5)
        for (let each = 0; each < 3; each++) budget.spend(START)
        const now = START - back
        expect(budget.spend(now)).toBe(false)
        expect(budget.spend(now + after)).toBe(false)
        expect(budget.spend(now + 5_000)).toBe(true)
      }),
    )
  })
})

describe('BackOff', () => {
  const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

  test('pauses for a random part of 1, 2, 4 … 60 s', () => {
    const bounds = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    for (const part of [0, 0.25, 1]) {
      const backOff = new BackOff(1, 60, () => part)
      for (const [index, bound] of bounds.entries()) {
        backOff.failed(START)
        expect(backOff.failures).toBe(index + 1)
        expect(backOff.waitMilliseconds(START)).toBe(part * bound * 1_000)
      }
    }
  })

  test('a pause ends on the millisecond, and is never longer than its bound, after any number of failures', () => {
    fc.assert(
      fc.property(fc.array(randoms, { minLength: 1, maxLength: 100 }), (parts) => {
        const all = [...parts]
        const backOff = new BackOff(1, 60, () => all.shift() ?? 0)
        for (const [index, part] of parts.entries()) {
          backOff.failed(START)
          const wait = backOff.waitMilliseconds(START)
          expect(wait).toBeCloseTo(part * Math.min(60, 2 ** index) * 1_000, 3)
          expect(backOff.waitMilliseconds(START + Math.ceil(wait))).toBeLessThanOrEqual(0)
          if (wait > 1) expect(backOff.waitMilliseconds(START + Math.floor(wait) - 1)).toBeGreaterThan(0)
        }
      }),
    )
  })

  test('a success ends it, and the next failure begins anew', () => {
    const backOff = new BackOff(1, 60, () => 1)
    expect(backOff.waitMilliseconds(START)).toBeLessThanOrEqual(0)
    for (let each = 0; each < 5; each++) backOff.failed(START)
    backOff.succeeded()
    expect([backOff.failures, backOff.waitMilliseconds(START) <= 0]).toEqual([0, true])
    backOff.failed(START)
    expect(backOff.waitMilliseconds(START)).toBe(1_000)
  })

  test('a clock that is set back makes no pause longer than any', () => {
    fc.assert(
      fc.property(randoms, fc.integer({ min: 0, max: 10_000_000 }), (part, back) => {
        const backOff = new BackOff(1, 60, () => part)
        for (let each = 0; each < 10; each++) backOff.failed(START)
        expect(backOff.waitMilliseconds(START - back)).toBeLessThanOrEqual(60_000)
      }),
    )
  })
})

describe('UnknownKeys', () => {
  const kids = fc.option(fc.string({ maxLength: 4 }), { nil: null })
  const algorithms = fc.constantFrom<Algorithm>('EdDSA', 'Ed25519', 'ES256', 'RS256')

  test('remembers each pair of key id and algorithm for 60 s, on the millisecond, and no other', () => {
    const pairs = fc.uniqueArray(fc.tuple(kids, algorithms), { maxLength: 30, selector: (pair) => JSON.stringify(pair) })
    fc.assert(
      fc.property(pairs, pairs, (added, asked) => {
        const unknown = new UnknownKeys(1_024, 60)
        for (const [kid, algorithm] of added) unknown.add(kid, algorithm, START)
        for (const [kid, algorithm] of [...added, ...asked]) {
          const isAdded = added.some(([each, its]) => each === kid && its === algorithm)
          expect(unknown.age(kid, algorithm, START)).toBe(isAdded ? 0 : null)
          expect(unknown.age(kid, algorithm, START + 59_999)).toBe(isAdded ? 59_999 : null)
          expect(unknown.age(kid, algorithm, START + 60_000)).toBeNull()
          expect(unknown.age(kid, algorithm, START - 1)).toBeNull()
        }
      }),
    )
  })

  test('a missing id is none that anybody can write', () => {
    const unknown = new UnknownKeys(10, 60)
    unknown.add(null, 'EdDSA', START)
    for (const kid of ['', 'EdDSA', ':', 'null']) expect(unknown.age(kid, 'EdDSA', START)).toBeNull()
    expect(unknown.age(null, 'Ed25519', START)).toBeNull()
    unknown.add('', 'ES256', START)
    expect(unknown.age(null, 'ES256', START)).toBeNull()
  })

  test('keeps the newest 1,024, counts anew what is added again, and forgets all at once', () => {
    const unknown = new UnknownKeys(1_024, 60)
    for (let index = 0; index <= 1_024; index++) unknown.add(`kid-${index}`, 'EdDSA', START)
    const age = (index: number, now: number) => unknown.age(`kid-${index}`, 'EdDSA', now)
    expect([age(0, START), age(1, START), age(1_024, START)]).toEqual([null, 0, 0])
    unknown.add('kid-1', 'EdDSA', START + 50_000)
    expect([age(1, START + 60_000), age(2, START + 60_000)]).toEqual([10_000, null])
    unknown.clear()
    expect([age(1, START + 50_000), age(1_024, START)]).toEqual([null, null])
  })
})

describe('KeySnapshot', () => {
  const signing = ['a', 'b', 'c'].map((kid) => createSigningKey('EdDSA', { kid }))
  /** A key of the set: one of three materials, under one of three ids or none, with or without its algorithm. */
  const described = fc.record({
    material: fc.integer({ min: 0, max: 2 }),
    kid: fc.constantFrom<string | undefined>('x', 'y', undefined),
    alg: fc.constantFrom<string | undefined>('EdDSA', 'Ed25519', undefined),
  })
  type Described = typeof described extends fc.Arbitrary<infer T> ? T : never

  const made = new Map<string, Promise<VerificationKey>>()
  function keyOf({ material, kid, alg }: Described): Promise<VerificationKey> {
    const name = JSON.stringify([material, kid, alg])
    const { kid: _kid, alg: _alg, ...bare } = signing[material]?.jwk ?? {}
    const imported = importJwk({ ...bare, ...(kid !== undefined && { kid }), ...(alg !== undefined && { alg }) }, 256)
    if (typeof imported === 'string') throw new TypeError(imported)
    const key = made.get(name) ?? withThumbprint(imported)
    made.set(name, key)
    return key
  }
  const fits = ({ alg }: Described, algorithm: string) => alg === undefined || alg === algorithm
  const sets = fc.array(described, { maxLength: 5 })

  test('[BEHALF-one-fitting-key] finds a key exactly where one material fits, whatever else is in the set', async () => {
    await fc.assert(
      fc.asyncProperty(
        sets,
        fc.constantFrom('x', 'y', 'z', null),
        fc.constantFrom<Algorithm>('EdDSA', 'Ed25519'),
        async (set, kid, algorithm) => {
          const snapshot = new KeySnapshot(await Promise.all(set.map(keyOf)), START)
          const fitting = set.filter((each) => (kid === null || each.kid === kid) && fits(each, algorithm))
          const materials = new Set(fitting.map(({ material }) => material))
          const found = snapshot.find(kid, algorithm)
          expect(found === null).toBe(materials.size !== 1)
          if (found !== null) {
            const [material = 0] = materials
            expect(found.thumbprint).toBe((await keyOf({ material, kid: undefined, alg: undefined })).thumbprint)
          }
        },
      ),
    )
  })

  test('says the same as another set exactly where both list the same keys, in any order', async () => {
    await fc.assert(
      fc.asyncProperty(sets, sets, fc.boolean(), async (one, other, shuffled) => {
        const second = shuffled ? one.toReversed() : other
        const [here, there] = await Promise.all(
          [one, second].map(async (set) => new KeySnapshot(await Promise.all(set.map(keyOf)), START)),
        )
        const said = (set: readonly Described[]) => JSON.stringify(set.map((each) => JSON.stringify(each)).sort())
        expect(here?.saysTheSame(there as KeySnapshot)).toBe(said(one) === said(second))
      }),
    )
  })

  test('does not say the same as one with other material, another id or another algorithm', async () => {
    const one = { material: 0, kid: 'x', alg: 'EdDSA' }
    const set = async (key: Described) => new KeySnapshot([await keyOf(key)], START)
    const first = await set(one)
    expect(first.saysTheSame(await set({ ...one }))).toBe(true)
    for (const other of [{ material: 1 }, { kid: 'y' }, { kid: undefined }, { alg: 'Ed25519' }, { alg: undefined }]) {
      expect(first.saysTheSame(await set({ ...one, ...other })), JSON.stringify(other)).toBe(false)
    }
  })

  test('grows old by the clock; keys that are configured do not', () => {
    const snapshot = new KeySnapshot([], START, 600)
    expect([-1, 0, 999, 1_000, 599_999, 600_000].map((each) => snapshot.ageSeconds(START + each))).toEqual([0, 0, 0, 1, 599, 600])
    expect([-1, 0, 599_999, 600_000].map((each) => snapshot.isStale(START + each))).toEqual([false, false, false, true])
    expect([snapshot.ageMilliseconds(START - 5), snapshot.ageMilliseconds(START + 5)]).toEqual([-5, 5])
    const configured = new KeySnapshot([], null)
    expect([configured.ageMilliseconds(START), configured.ageSeconds(START), configured.isStale(Number.MAX_VALUE)]).toEqual([
      0,
      0,
      false,
    ])
  })
})

describe('Cache-Control', () => {
  const freshOf = async (headers: Record<string, string>) => {
    const { freshSeconds } = await fetchJson(
      'https://as.example.test/',
      async () => Response.json({}, { headers }),
      DEFAULT_LIMITS,
      new AbortController().signal,
      null,
    )
    return freshSeconds
  }
  const others = fc.array(
    fc.constantFrom('public', 'private', 'must-revalidate', 'immutable', 's-maxage=1', 'stale-if-error=9', 'x="1"'),
    { maxLength: 3 },
  )
  const seconds = fc.integer({ min: 0, max: 9_999_999_999 })

  test('is max-age less Age, whatever stands beside it and in any case', async () => {
    await fc.assert(
      fc.asyncProperty(
        others,
        others,
        seconds,
        fc.option(seconds, { nil: null }),
        fc.boolean(),
        fc.boolean(),
        async (before, after, maxAge, age, upper, quoted) => {
          const own = quoted ? `max-age="${maxAge}"` : `max-age=${maxAge}`
          const text = [...before, own, ...after].join(upper ? ' , ' : ',')
          const headers = { 'cache-control': upper ? text.toUpperCase() : text, ...(age !== null && { age: `${age}` }) }
          expect(await freshOf(headers)).toBe(Math.max(0, maxAge - (age ?? 0)))
        },
      ),
    )
  })

  test('is 0 with no-store or no-cache among it', async () => {
    await fc.assert(
      fc.asyncProperty(
        others,
        fc.constantFrom('no-store', 'no-cache', 'No-Store', 'NO-CACHE'),
        seconds,
        async (before, word, maxAge) => {
          expect(await freshOf({ 'cache-control': [...before, word, `max-age=${maxAge}`].join(', ') })).toBe(0)
        },
      ),
    )
  })

  test.each([
    '',
    'public',
    's-maxage=60',
    'max-age',
    'max-age=',
    'max-age=1.5',
    'max-age=-1',
    'max-age=1e3',
    'x-max-age=60',
    'max-age=60s',
    'max-age=12345678901',
  ])('%j does not say', async (text) => {
    expect(await freshOf({ 'cache-control': text })).toBeNull()
  })

  test('a document is fresh for a minute to an hour, whatever is said; for ten minutes where nothing is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.option(seconds, { nil: null }), async (maxAge) => {
        const headers: Record<string, string> = maxAge === null ? {} : { 'cache-control': `max-age=${maxAge}` }
        const document = new RemoteDocument(
          'https://as.example.test/',
          async () => Response.json({}, { headers }),
          DEFAULT_LIMITS,
        )
        const { freshSeconds } = await document.read(new AbortController().signal)
        expect(freshSeconds).toBe(maxAge === null ? 600 : Math.min(3_600, Math.max(60, maxAge)))
      }),
    )
  })
})

describe('fetchJson', () => {
  test('takes 304 for an answer only where a version was asked for', async () => {
    const fetch: Fetch = async () => new Response(null, { status: 304 })
    const read = (etag: string | null) =>
      fetchJson('https://as.example.test/', fetch, DEFAULT_LIMITS, new AbortController().signal, etag)
    expect(await read('"1"')).toEqual({ value: null, etag: '"1"', freshSeconds: null })
    await expect(read(null)).rejects.toMatchObject({ name: 'FetchError', status: 304 })
  })
})

describe('RemoteDocument', () => {
  /** Reads as often as there are answers; shows which version each was asked with. */
  async function readings(answers: readonly (() => Response)[]) {
    const left = [...answers]
    const asked: (string | null)[] = []
    const fetch: Fetch = async (_url, init) => {
      asked.push(new Headers(init.headers).get('if-none-match'))
      return left.shift()?.() ?? Response.error()
    }
    const document = new RemoteDocument('https://as.example.test/', fetch, DEFAULT_LIMITS)
    const read: unknown[] = []
    for (const _each of answers) {
      read.push(
        await document.read(new AbortController().signal).then(
          ({ value, unchanged }) => [value, unchanged],
          (error: unknown) => (error instanceof FetchError ? error.message : error),
        ),
      )
    }
    return { asked, read }
  }
  const full = (body: unknown, etag?: string) => () => Response.json(body, { headers: { ...(etag !== undefined && { etag }) } })
  const unchanged = (etag?: string) => () => new Response(null, { status: 304, headers: { ...(etag !== undefined && { etag }) } })
  const failing = () => new Response('no', { status: 500 })
  const refused = 'the server did not answer with status 200'

  test('is asked for by the version that was read last, and by none after one without', async () => {
    expect(
      await readings([
        full({ a: 1 }, '"1"'),
        unchanged('"1"'),
        full({ a: 2 }, 'W/"2"'),
        unchanged(),
        full({ a: 3 }),
        full({ a: 4 }, '"4"'),
      ]),
    ).toEqual({
      asked: [null, '"1"', '"1"', 'W/"2"', 'W/"2"', null],
      read: [
        [{ a: 1 }, false],
        [{ a: 1 }, true],
        [{ a: 2 }, false],
        [{ a: 2 }, true],
        [{ a: 3 }, false],
        [{ a: 4 }, false],
      ],
    })
  })

  test('keeps its version over a failure', async () => {
    expect(await readings([full({ a: 1 }, '"1"'), failing, unchanged()])).toEqual({
      asked: [null, '"1"', '"1"'],
      read: [[{ a: 1 }, false], refused, [{ a: 1 }, true]],
    })
  })

  test('304 without a version that was asked for is a failure, and remembers none', async () => {
    expect(await readings([unchanged('"1"'), full(GOOD_SET), unchanged('"1"')])).toEqual({
      asked: [null, null, null],
      read: [refused, [GOOD_SET, false], refused],
    })
  })
})
