/** Issuers that the application is asked for, one tenant at a time. */
import { inspect } from 'node:util'
import {
  type AuthContext,
  AuthError,
  ConfigError,
  createResourceServer,
  DEFAULT_LIMITS,
  type Fetch,
  type IssuerLookup,
  type IssuerOptions,
  type ResourceServer,
  type ResourceServerOptions,
} from '@behalf/core'
import { custom, type OAuthOptions, oauth } from '@behalf/core/issuers'
import { createSigningKey, createTestIssuer, memorySink, type TestIssuer } from '@behalf/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import { DOORS, outcomeOf as httpOutcomeOf } from '../../../test/support/request.js'
import type { Issuer } from '../src/issuers/issuer.js'
import { AskedIssuers } from '../src/issuers/registry.js'
import { AUDIENCE, anyRule, JWKS, KEY, NOW_SECONDS, settle, tokenOf } from './support/harness.js'

const ISS = 'https://tenant-1.example'
const OTHER = 'https://tenant-2.example'
const START = NOW_SECONDS * 1000
const MINUTE = 60_000

let clock = START
const now = () => clock
beforeEach(() => {
  clock = START
})

/** A tenant's options, with keys that need no fetch. */
const optionsOf = (issuer: string, more: Partial<OAuthOptions> = {}): IssuerOptions =>
  oauth({ issuer, audience: AUDIENCE, jwks: JWKS, ...more })

/** The same with keys behind a URL. */
const remoteOptions = (issuer: string, more: Partial<OAuthOptions> = {}): IssuerOptions =>
  oauth({ issuer, audience: AUDIENCE, jwksUri: `${issuer}/jwks`, ...more })

let serial = 0
/** A token of its own text, long-lived, so that no test waits for it to expire. */
const token = (iss: string, claims: Parameters<typeof tokenOf>[0] = {}, ...rest: [header?: object, key?: typeof KEY]) =>
  tokenOf({ iss, exp: NOW_SECONDS + 86_400, jti: `${serial++}`, ...claims }, { ...rest[0] }, rest[1])

/** A function of an application: it keeps what it was asked, and answers from a table. */
function table(entries: readonly IssuerOptions[] = []) {
  const known = new Map(entries.map((options) => [options.issuer, options]))
  const asked: string[] = []
  const lookup: IssuerLookup = (unverifiedIss) => {
    asked.push(unverifiedIss)
    return known.get(unverifiedIss) ?? null
  }
  return { known, asked, lookup }
}

function serverOf(issuers: IssuerLookup, more: Partial<ResourceServerOptions> = {}): ResourceServer {
  return createResourceServer({ issuers, now, ...more })
}

/** `ok`, or the code of the refusal. */
async function outcome(server: ResourceServer, compact: string): Promise<string> {
  try {
    await server.verify(compact)
    return 'ok'
  } catch (error) {
    if (error instanceof AuthError) return error.code
    throw error
  }
}

async function refusal(server: ResourceServer, compact: string): Promise<AuthError> {
  const error = await server.verify(compact).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (error instanceof AuthError) return error
  throw new Error('the token was not refused', { cause: error })
}

/** An in-memory key set for each URL. */
function keyServer(keysAt: (url: string) => readonly object[] = () => [KEY.jwk]) {
  const asked: string[] = []
  const fetch: Fetch = async (url) => {
    asked.push(url)
    return Response.json({ keys: keysAt(url) })
  }
  return { asked, fetch }
}

/** The registry alone, where a test must see whether there is a promise to wait for. */
function registryOf(lookup: IssuerLookup): AskedIssuers {
  const fetch: Fetch = () => Promise.reject(new Error('nothing is fetched here'))
  return new AskedIssuers(lookup, {
    fetch,
    now,
    limits: DEFAULT_LIMITS,
    random: () => 0.5,
    keepFresh: false,
    listed: false,
    toleranceSeconds: 5,
    screen: null,
    dpopLacks: null,
  })
}

describe('what the function is asked', () => {
  test('about an iss of 1,024 characters, and about nothing longer', async () => {
    const iss = (length: number) => `${ISS}/${'x'.repeat(length - ISS.length - 1)}`
    const { asked, lookup } = table([1023, 1024, 1025, 2000].map((length) => optionsOf(iss(length))))
    const server = serverOf(lookup)
    expect(await outcome(server, token(iss(1023)))).toBe('ok')
    expect(await outcome(server, token(iss(1024)))).toBe('ok')
    expect(await outcome(server, token(iss(1025)))).toBe('issuer_unknown')
    expect(await outcome(server, token(iss(2000)))).toBe('issuer_unknown')
    expect(asked).toEqual([iss(1023), iss(1024)])
  })

  test('about the text of the token, letter by letter, and never about what is no text', async () => {
    const { asked, lookup } = table()
    const server = serverOf(lookup)
    const texts = ['__proto__', 'constructor', ' https://tenant-1.example', 'https://tenant-1.example/', 'Jose\u0301', '\ud800']
    for (const iss of texts) expect(await outcome(server, token(iss))).toBe('issuer_unknown')
    expect(asked).toEqual(texts)
    for (const iss of [1, null, true, [ISS], { iss: ISS }])
      expect(await outcome(server, token('', { iss }))).toBe('issuer_unknown')
    expect(await outcome(server, token('', { iss: undefined }))).toBe('issuer_unknown')
    expect(asked).toEqual(texts)
  })

  test('never where the token cannot be read', async () => {
    const { asked, lookup } = table([optionsOf(ISS)])
    const server = serverOf(lookup)
    const [header, payload] = token(ISS).split('.')
    for (const text of ['', 'a.b.c', `${header}.${payload}`, `${header}.${payload}.`, `${header}.${payload}.AA=`]) {
      expect(await outcome(server, text)).toBe('token_malformed')
    }
    expect(asked).toEqual([])
  })
})

describe('what the function answers', () => {
  test('options of exactly that issuer: the token is verified by them', async () => {
    const { lookup } = table([optionsOf(ISS)])
    expect((await serverOf(lookup).verify(token(ISS))).token.issuer).toBe(ISS)
    const later: IssuerLookup = async (iss) => {
      await settle()
      return lookup(iss)
    }
    expect((await serverOf(later).verify(token(ISS))).token.issuer).toBe(ISS)
  })

  test.each([`${ISS}/`, ISS.toUpperCase(), `${ISS} `, 'https://tenant-1.example:443', 'https://tenant-1', OTHER])(
    'options of another issuer, %j: unknown, and nothing is fetched for it',
    async (issuer) => {
      const { asked, fetch } = keyServer()
      const server = serverOf(() => remoteOptions(issuer, { jwksUri: `${ISS}/jwks` }), { fetch })
      expect(await refusal(server, token(ISS))).toMatchObject({ code: 'issuer_unknown', status: 401 })
      expect(asked).toEqual([])
      expect(server.keys.state()).toEqual([])
    },
  )

  test('null: 401 issuer_unknown, with a challenge', async () => {
    for (const lookup of [() => null, async () => null]) {
      const { code, status, headers } = await refusal(serverOf(lookup), token(ISS))
      expect([code, status]).toEqual(['issuer_unknown', 401])
      expect(headers['www-authenticate']).toContain('invalid_token')
      expect(headers['retry-after']).toBeUndefined()
    }
  })

  describe('nothing, because it fails', () => {
    /** What the functions throw below. */
    const THROWN = /no such table|database|down|token_expired/

    const FAILURES: Readonly<Record<string, IssuerLookup>> = {
      'it throws': () => {
        throw new Error(`no such table: ${ISS}`)
      },
      'it throws what is no error': () => {
        throw null
      },
      'it rejects': () => Promise.reject(new Error('the database is down')),
      'it rejects with nothing': () => Promise.reject(),
      // biome-ignore lint/suspicious/noThenProperty: a thenable of another library is what is tested
      'its thenable rejects': () => ({ then: (_: unknown, no: (e: unknown) => void) => no(new Error('down')) }) as never,
      'it throws an error of ours': () => {
        throw new AuthError('token_expired')
      },
    }

    test.each(Object.entries(FAILURES))(
      '%s: 503 with Retry-After, and it is asked again by the next request',
      async (_what, fails) => {
        let failing = true
        const asked: string[] = []
        const server = serverOf((iss) => {
          asked.push(iss)
          return failing ? fails(iss) : optionsOf(iss)
        })
        const { code, status, challenge, headers, cause } = await refusal(server, token(ISS))
        expect([code, status, challenge, headers['retry-after']]).toEqual(['issuer_unavailable', 503, null, '5'])
        expect(cause).toEqual(new Error('the function issuers threw, rejected or took too long'))
        expect(inspect(await refusal(server, token(ISS)), { depth: null }), 'what it threw is not handed on').not.toMatch(THROWN)
        failing = false
        expect(await outcome(server, token(ISS))).toBe('ok')
        expect(asked).toHaveLength(3)
      },
    )

    describe('in time', () => {
      beforeEach(() => {
        vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      })
      afterEach(() => {
        vi.useRealTimers()
      })

      test.each([
        ['two seconds by default', {}, 2000],
        ['as long as the limit says', { limits: { issuerLookupMilliseconds: 50 } }, 50],
      ])('it has %s, then 503', async (_what, more, milliseconds) => {
        const never = serverOf(() => new Promise(() => {}), more)
        let settled: string | null = null
        const asking = outcome(never, token(ISS)).then((code) => {
          settled = code
        })
        await vi.advanceTimersByTimeAsync(milliseconds - 1)
        await settle()
        expect(settled).toBeNull()
        await vi.advanceTimersByTimeAsync(1)
        await asking
        expect(settled).toBe('issuer_unavailable')
        expect(vi.getTimerCount()).toBe(0)
      })

      test('what comes too late does not count: neither options, nor null, nor an error', async () => {
        const answers = [deferred<IssuerOptions | null>(), deferred<IssuerOptions | null>(), deferred<IssuerOptions | null>()]
        let asked = 0
        const server = serverOf(() => answers[asked++]?.promise ?? optionsOf(ISS))
        for (let round = 0; round < answers.length; round++) {
          const asking = outcome(server, token(ISS))
          await vi.advanceTimersByTimeAsync(2000)
          expect(await asking).toBe('issuer_unavailable')
        }
        answers[0]?.resolve(optionsOf(ISS))
        answers[1]?.resolve(null)
        answers[2]?.reject(new Error('late'))
        await settle()
        expect(server.keys.state()).toEqual([])
        expect(await outcome(server, token(ISS))).toBe('ok')
        expect(asked).toBe(4)
      })

      test('an answer in the last millisecond counts, and its timer is gone', async () => {
        const answer = deferred<IssuerOptions>()
        const asking = outcome(
          serverOf(() => answer.promise),
          token(ISS),
        )
        await vi.advanceTimersByTimeAsync(1999)
        answer.resolve(optionsOf(ISS))
        expect(await asking).toBe('ok')
        expect(vi.getTimerCount()).toBe(0)
      })
    })
  })

  describe('options that are wrong', () => {
    const good = optionsOf(ISS)
    const WRONG: Readonly<Record<string, unknown>> = {
      undefined: undefined,
      'a string': ISS,
      'a number': 0,
      false: false,
      'a list': [good],
      'an empty object': {},
      'an unknown member': { ...good, audiences: AUDIENCE },
      'a member that is undefined': { ...good, clientIds: undefined },
      'no audience': { issuer: ISS, jwks: JWKS },
      'an empty audience': { ...good, audience: '' },
      'no audience and no clients': { ...good, audience: null },
      'an algorithm that is none': { ...good, algorithms: ['HS256'] },
      'keys that are none': { ...good, jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } },
      'no keys': { ...good, jwks: { keys: [] } },
      'keys twice': { ...good, jwksUri: `${ISS}/jwks` },
      'keys by plain http': { issuer: ISS, audience: AUDIENCE, jwksUri: 'http://tenant-1.example/jwks' },
    }

    test.each(Object.entries(WRONG))('%s: a ConfigError with status 500, never a refusal', async (_what, wrong) => {
      for (const answer of [wrong, Promise.resolve(wrong)]) {
        const server = serverOf(() => answer as IssuerOptions)
        const error = await server.verify(token(ISS)).catch((thrown: unknown) => thrown)
        expect(error).toBeInstanceOf(ConfigError)
        expect(error).toMatchObject({ status: 500, expose: false, message: expect.stringMatching(/^issuers\(…\)/) })
      }
    })

    /** Mistakes in calls of presets inside the function, which throw there. */
    const THROWN: Readonly<Record<string, () => IssuerOptions>> = {
      'an unknown member of oauth()': () => oauth({ issuer: ISS, audience: AUDIENCE, jwks: JWKS, typo: 1 } as never),
      'oauth() with an audience that is undefined': () => oauth({ issuer: ISS, audience: undefined as never, jwks: JWKS }),
      'custom() without tokenTypes': () => custom({ issuer: ISS, audience: AUDIENCE, jwks: JWKS } as never),
      'a ConfigError of its own': () => {
        throw new ConfigError('not of these options')
      },
    }

    test.each(Object.entries(THROWN))('%s, thrown in the function: a ConfigError too', async (_what, mistaken) => {
      const told = (() => {
        try {
          return JSON.stringify(mistaken())
        } catch (error) {
          return (error as Error).message
        }
      })()
      for (const lookup of [mistaken, async () => mistaken()]) {
        const error = await serverOf(lookup)
          .verify(token(ISS))
          .catch((thrown: unknown) => thrown)
        expect(error).toBeInstanceOf(ConfigError)
        expect(error).toMatchObject({ status: 500, expose: false, message: told })
      }
    })

    test('it is asked again once it is mended, and everybody who waits gets an error of their own', async () => {
      const { known, asked, lookup } = table()
      known.set(ISS, { ...good, audiences: AUDIENCE } as never)
      const server = serverOf(lookup)
      const errors = await Promise.all([0, 1, 2].map(() => server.verify(token(ISS)).catch((error: unknown) => error)))
      expect(errors.map((error) => error instanceof ConfigError)).toEqual([true, true, true])
      expect(new Set(errors).size).toBe(3)
      expect(asked).toHaveLength(1)
      known.set(ISS, good)
      expect(await outcome(server, token(ISS))).toBe('ok')
    })

    test('in the background they change nothing until the issuer is five minutes old', async () => {
      const { known, lookup } = table([good])
      const server = serverOf(lookup)
      const cached = token(ISS)
      expect(await outcome(server, cached)).toBe('ok')
      known.set(ISS, {} as never)
      clock += 5 * MINUTE - 1
      expect(await outcome(server, cached)).toBe('ok')
      await settle()
      expect(await outcome(server, cached)).toBe('ok')
      clock += 1
      await expect(server.verify(cached)).rejects.toThrow(ConfigError)
    })

    test.each(DOORS)('$name answers 500 without a challenge, and no handler runs', async ({ open }) => {
      let answer: unknown
      const door = await open({ issuers: () => answer as IssuerOptions, now }, [
        { method: 'GET', path: '/context', requirement: {} },
        { method: 'GET', path: '/open', authenticate: 'optional' },
      ])
      try {
        for (const wrong of [undefined, ISS, { ...good, audiences: AUDIENCE }]) {
          answer = wrong
          for (const path of ['/context', '/open']) {
            const { status, headers } = await door.ask(path, { token: token(ISS) })
            expect([status, headers['www-authenticate']]).toEqual([500, undefined])
            expect(headers['content-type']).not.toBe('application/problem+json')
          }
        }
        expect(door.ran).toBe(0)
        answer = good
        expect(httpOutcomeOf(await door.ask('/context', { token: token(ISS) }))).toBe('200')
      } finally {
        await door.close()
      }
    })

    test.each(DOORS)(
      '$name answers 503 with Retry-After where the function fails, and 401 where it knows nobody',
      async ({ open }) => {
        let answer: IssuerLookup = () => Promise.reject(new Error('down'))
        const door = await open({ issuers: (iss) => answer(iss), now }, [{ method: 'GET', path: '/context', requirement: {} }])
        try {
          const down = await door.ask('/context', { token: token(ISS) })
          expect([httpOutcomeOf(down), down.headers['retry-after'], down.headers['www-authenticate']]).toEqual([
            '503 issuer_unavailable',
            '5',
            undefined,
          ])
          answer = () => null
          expect(httpOutcomeOf(await door.ask('/context', { token: token(ISS) }))).toBe('401 issuer_unknown')
          expect(door.ran).toBe(0)
        } finally {
          await door.close()
        }
      },
    )
  })
})

describe('how often the function is asked', () => {
  test('once for 10,000 first requests', async () => {
    const { asked, lookup } = table([optionsOf(ISS)])
    const gate = deferred()
    const server = serverOf(async (iss) => {
      await gate.promise
      return lookup(iss)
    })
    // Refused right after the issuer is found, so that the test waits for no 10,000 proofs.
    const refused = token(ISS, {}, { alg: 'HS256' })
    const outcomes = Promise.all(Array.from({ length: 10_000 }, () => outcome(server, refused)))
    gate.resolve()
    expect(new Set(await outcomes)).toEqual(new Set(['algorithm_refused']))
    expect(asked).toEqual([ISS])
  })

  test('once for each of several issuers at once', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `${ISS}/${index}`)
    const { asked, lookup } = table(names.map((name) => optionsOf(name)))
    const server = serverOf(async (iss) => lookup(iss))
    const outcomes = await Promise.all([...names, ...names].map((name) => outcome(server, token(name))))
    expect(new Set(outcomes)).toEqual(new Set(['ok']))
    expect([...asked].sort()).toEqual([...names].sort())
  })

  test('again after five minutes, and in the background from the fourth on, so that nobody waits', async () => {
    const { asked, lookup } = table([optionsOf(ISS)])
    let gate = deferred()
    gate.resolve()
    const registry = registryOf(async (iss) => {
      const answer = lookup(iss)
      await gate.promise
      return answer
    })
    const first = await registry.find(ISS)
    const found = () => {
      const issuer = registry.find(ISS)
      expect(issuer, 'no promise').not.toBeInstanceOf(Promise)
      return issuer
    }
    clock = START + 4 * MINUTE - 1
    expect(found()).toBe(first)
    expect(asked).toHaveLength(1)

    gate = deferred()
    clock = START + 4 * MINUTE
    for (let request = 0; request < 100; request++) expect(found()).toBe(first)
    clock = START + 5 * MINUTE - 1
    expect(found()).toBe(first)
    expect(asked, 'one question, however many requests').toHaveLength(2)

    clock = START + 5 * MINUTE
    const waiting = registry.find(ISS)
    expect(waiting).toBeInstanceOf(Promise)
    expect(asked, 'the question is still under way').toHaveLength(2)
    gate.resolve()
    await waiting
    const answeredAt = clock

    clock = answeredAt + 4 * MINUTE - 1
    found()
    expect(asked).toHaveLength(2)
    clock = answeredAt + 5 * MINUTE
    expect(registry.find(ISS)).toBeInstanceOf(Promise)
    expect(asked).toHaveLength(3)
  })

  test('a background answer begins a new five minutes', async () => {
    const { asked, lookup } = table([optionsOf(ISS)])
    const registry = registryOf(lookup)
    await registry.find(ISS)
    for (let round = 1; round <= 10; round++) {
      clock += 4 * MINUTE
      expect(registry.find(ISS)).not.toBeInstanceOf(Promise)
      await settle()
      expect(asked).toHaveLength(1 + round)
    }
  })

  test('a failure in the background changes nothing until five minutes are over; then it is a 503', async () => {
    const { asked, lookup } = table([optionsOf(ISS)])
    let down = false
    const server = serverOf((iss) => {
      const answer = lookup(iss)
      if (down) throw new Error('down')
      return answer
    })
    const cached = token(ISS)
    expect(await outcome(server, cached)).toBe('ok')
    down = true
    clock = START + 5 * MINUTE - 1
    for (let request = 0; request < 3; request++) expect(await outcome(server, cached)).toBe('ok')
    expect(await outcome(server, token(ISS)), 'a new token too').toBe('ok')
    expect(asked.length).toBeGreaterThan(1)
    clock = START + 5 * MINUTE
    expect(await outcome(server, cached)).toBe('issuer_unavailable')
    expect(await outcome(server, token(ISS))).toBe('issuer_unavailable')
    down = false
    expect(await outcome(server, cached)).toBe('ok')
  })

  test('a failure in the background is not asked for again on every request, but after the time to retry', async () => {
    const { asked, lookup } = table([optionsOf(ISS)])
    let down = false
    const server = serverOf(async (iss) => {
      const answer = await lookup(iss)
      if (down) throw new Error('down')
      return answer
    })
    const cached = token(ISS)
    const ask = async () => {
      expect(await outcome(server, cached)).toBe('ok')
      await settle()
    }
    await ask()
    down = true
    for (const [milliseconds, questions] of [
      [4 * MINUTE, 2],
      [4 * MINUTE + 4_999, 2],
      [4 * MINUTE + 5_000, 3],
      [4 * MINUTE + 9_999, 3],
      [4 * MINUTE + 10_000, 4],
    ] as const) {
      clock = START + milliseconds
      for (let request = 0; request < 3; request++) await ask()
      expect(asked, `${milliseconds}`).toHaveLength(questions)
    }
    down = false
    clock = START + 4 * MINUTE + 15_000
    for (let request = 0; request < 3; request++) await ask()
    clock = START + 5 * MINUTE
    await ask()
    expect(asked, 'a good answer begins a new five minutes').toHaveLength(5)
  })

  test('a clock that was set back trusts no answer from the future', async () => {
    const { known, asked, lookup } = table([optionsOf(ISS)])
    const server = serverOf(lookup, { clockToleranceSeconds: 300 })
    expect(await outcome(server, token(ISS))).toBe('ok')
    expect(await outcome(server, token(OTHER))).toBe('issuer_unknown')
    clock = START - MINUTE
    known.delete(ISS)
    known.set(OTHER, optionsOf(OTHER))
    expect(await outcome(server, token(ISS))).toBe('issuer_unknown')
    expect(await outcome(server, token(OTHER))).toBe('ok')
    expect(asked).toEqual([ISS, OTHER, ISS, OTHER])
  })

  test('1,000 issuers are kept; one more takes the place of the one that was used least recently', async () => {
    const name = (index: number) => `${ISS}/${index}`
    const asked: string[] = []
    const registry = registryOf((iss) => {
      asked.push(iss)
      return optionsOf(iss)
    })
    for (let index = 0; index < 1000; index++) await registry.find(name(index))
    for (let index = 0; index < 1000; index++) expect(registry.find(name(index))).not.toBeInstanceOf(Promise)
    expect([...registry.known()]).toHaveLength(1000)
    registry.find(name(0)) // used again: now name(1) is the least recent one
    await registry.find(name(1000))
    expect([...registry.known()]).toHaveLength(1000)
    expect(asked).toHaveLength(1001)
    expect(registry.find(name(0))).not.toBeInstanceOf(Promise)
    expect(registry.find(name(2))).not.toBeInstanceOf(Promise)
    expect(registry.find(name(1))).toBeInstanceOf(Promise)
    expect(asked.slice(1000)).toEqual([name(1000), name(1)])
  })
})

describe('issuers that are unknown', () => {
  test('are remembered for a minute, and then asked for again', async () => {
    const { known, asked, lookup } = table()
    const server = serverOf(lookup)
    expect(await outcome(server, token(ISS))).toBe('issuer_unknown')
    known.set(ISS, optionsOf(ISS))
    clock = START + MINUTE - 1
    expect(await outcome(server, token(ISS))).toBe('issuer_unknown')
    expect(asked).toHaveLength(1)
    clock = START + MINUTE
    expect(await outcome(server, token(ISS))).toBe('ok')
    expect(asked).toHaveLength(2)
  })

  test('are refused at once where they are remembered', async () => {
    const registry = registryOf(() => null)
    await expect(registry.find(ISS)).rejects.toThrow(AuthError)
    expect(() => registry.find(ISS)).toThrow(AuthError)
  })

  test('a flood of 100,000 invented ones takes no place of a known one, which is answered at once and not asked for', async () => {
    const { asked, lookup } = table([optionsOf(ISS)])
    const registry = registryOf(lookup)
    const known = await registry.find(ISS)
    const invented = (index: number) => `https://invented.example/${index}`
    const FLOOD = 100_000
    let refused = 0
    for (let index = 0; index < FLOOD; index++) {
      const answer = registry.find(invented(index))
      await (answer as Promise<Issuer>).catch((error: AuthError) => {
        if (error.code === 'issuer_unknown') refused++
      })
      if (index % 1000 === 0) expect(registry.find(ISS)).toBe(known)
    }
    expect(refused).toBe(FLOOD)
    expect(asked).toHaveLength(FLOOD + 1)
    expect(registry.find(ISS)).toBe(known)
    expect([...registry.known()]).toEqual([known])
    // The memory is bounded: only the last thousand of them are remembered.
    expect(() => registry.find(invented(FLOOD - 1000))).toThrow(AuthError)
    expect(asked).toHaveLength(FLOOD + 1)
    await expect(registry.find(invented(FLOOD - 1001))).rejects.toThrow(AuthError)
    expect(asked).toHaveLength(FLOOD + 2)
  })

  test('a cached token of a known issuer goes through such a flood without a question or a fetch', async () => {
    const { asked, lookup } = table([remoteOptions(ISS)])
    const { asked: fetched, fetch } = keyServer()
    const server = serverOf(lookup, { fetch })
    const cached = token(ISS)
    const context = await server.verify(cached)
    const forged = (index: number) => token(`https://invented.example/${index}`, {}, { alg: 'HS256' })
    for (let round = 0; round < 20; round++) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => outcome(server, forged(round * 100 + index))))
      expect(await server.verify(cached)).toBe(context)
    }
    expect(asked.filter((iss) => iss === ISS)).toHaveLength(1)
    expect(fetched).toEqual([`${ISS}/jwks`])
  })
})

describe('an issuer that is asked for again', () => {
  /** A server that has seen a token, and five minutes later. */
  async function seen(more: Partial<OAuthOptions> = {}, keysAt?: (url: string) => readonly object[]) {
    const application = table([remoteOptions(ISS, more)])
    const keys = keyServer(keysAt)
    const server = serverOf(application.lookup, { fetch: keys.fetch })
    const cached = token(ISS)
    const context: AuthContext = await server.verify(cached)
    expect(await server.verify(cached), 'the token is cached').toBe(context)
    return { ...application, fetched: keys.asked, server, cached, context, later: () => (clock += 5 * MINUTE) }
  }

  test('with the same options keeps its keys and its cached tokens', async () => {
    const { asked, fetched, server, cached, context, later, known } = await seen()
    known.set(ISS, remoteOptions(ISS)) // another object that says the same
    later()
    expect(await server.verify(cached)).toBe(context)
    expect(asked).toHaveLength(2)
    expect(fetched).toHaveLength(1)
  })

  test('with the same keys in its options keeps its cached tokens too', async () => {
    const server = serverOf((iss) => optionsOf(iss))
    const cached = token(ISS)
    const context = await server.verify(cached)
    clock += 5 * MINUTE
    expect(await server.verify(cached)).toBe(context)
  })

  test('with other keys in its options: a key that is not among them proves nothing', async () => {
    const next = createSigningKey('EdDSA', { kid: 'next' })
    let keys = [KEY.jwk]
    const server = serverOf((iss) => optionsOf(iss, { jwks: { keys } }))
    const cached = token(ISS)
    expect(await outcome(server, cached)).toBe('ok')
    keys = [next.jwk]
    clock += 5 * MINUTE
    expect(await outcome(server, cached)).toBe('key_unknown')
    expect(await outcome(server, token(ISS, {}, {}, next))).toBe('ok')
  })

  test.each<[what: string, change: Partial<OAuthOptions>, code: string]>([
    ['another audience', { audience: 'https://other-api.example' }, 'audience_mismatch'],
    ['other algorithms', { algorithms: ['ES256'] }, 'algorithm_refused'],
    ['other clients', { clientIds: ['client-2'] }, 'client_refused'],
    ['other token types', { tokenTypes: ['x+jwt'] }, 'token_type_refused'],
    ['another required claim', { requiredClaims: { purpose: 'access' } }, 'claim_missing'],
  ])('with %s: cached tokens are judged by it, and the keys stay', async (_what, change, code) => {
    const { fetched, server, cached, later, known } = await seen()
    known.set(ISS, remoteOptions(ISS, change))
    later()
    expect(await outcome(server, cached)).toBe(code)
    expect(await outcome(server, token(ISS))).toBe(code)
    expect(fetched, 'the keys are where they were').toHaveLength(1)
  })

  test('with a wider dialect: a cached token is read by it', async () => {
    const { server, cached, later, known } = await seen({ claims: { tenant: 'org' } })
    const tenanted = token(ISS, { org: 'one', organisation: 'two' })
    expect((await server.verify(tenanted)).tenant).toBe('one')
    known.set(ISS, remoteOptions(ISS, { claims: { tenant: 'organisation' } }))
    later()
    expect((await server.verify(tenanted)).tenant).toBe('two')
    expect((await server.verify(cached)).tenant).toBeNull()
  })

  test('with keys elsewhere: cached tokens are proved by those, and a key that is not among them proves nothing', async () => {
    const moved = createSigningKey('EdDSA', { kid: 'moved' })
    const NEW = 'https://tenant-1.example/new-jwks'
    const { fetched, server, cached, later, known } = await seen({}, (url) => (url === NEW ? [moved.jwk] : [KEY.jwk]))
    known.set(ISS, remoteOptions(ISS, { jwksUri: NEW }))
    later()
    expect(await outcome(server, cached)).toBe('key_unknown')
    expect(await outcome(server, token(ISS, {}, {}, moved))).toBe('ok')
    expect(new Set(fetched)).toEqual(new Set([`${ISS}/jwks`, NEW]))
    expect(fetched.indexOf(NEW)).toBe(1)
  })

  test('after it was idle for longer than its keys are fresh: a key that was removed meanwhile proves nothing', async () => {
    const rotated = createSigningKey('EdDSA', { kid: 'rotated' })
    let keys: readonly object[] = [KEY.jwk]
    const { fetched, server, cached } = await seen({}, () => keys)
    const fresh = token(ISS)
    keys = [rotated.jwk]
    clock = START + 10 * MINUTE
    expect(await outcome(server, cached), 'at the first request').toBe('key_unknown')
    expect(await outcome(server, fresh)).toBe('key_unknown')
    expect(await outcome(server, token(ISS, {}, {}, rotated))).toBe('ok')
    expect(fetched.length).toBeGreaterThan(1)
  })

  test('with null: cached tokens are refused, and its keys are forgotten with it', async () => {
    const { fetched, server, cached, later, known } = await seen()
    expect(server.keys.state().map(({ issuer }) => issuer)).toEqual([ISS])
    known.clear()
    later()
    expect(await outcome(server, cached)).toBe('issuer_unknown')
    expect(await outcome(server, token(ISS))).toBe('issuer_unknown')
    expect(server.keys.state()).toEqual([])
    known.set(ISS, remoteOptions(ISS))
    clock += MINUTE
    expect(await outcome(server, cached)).toBe('ok')
    expect(fetched).toHaveLength(2)
  })

  test('with null in the background: refused from that answer on, long before five minutes are over', async () => {
    const { server, cached, known } = await seen()
    known.clear()
    clock += 4 * MINUTE
    expect(await outcome(server, cached), 'nobody waits for the question').toBe('ok')
    await settle()
    expect(await outcome(server, cached)).toBe('issuer_unknown')
  })

  test('after others took its place: its keys are forgotten with it', async () => {
    const { asked, lookup } = table([remoteOptions(ISS), remoteOptions(OTHER)])
    const { asked: fetched, fetch } = keyServer()
    const server = serverOf(lookup, { fetch, limits: { issuers: 1 } })
    for (const iss of [ISS, OTHER, ISS]) expect(await outcome(server, token(iss))).toBe('ok')
    expect(asked).toEqual([ISS, OTHER, ISS])
    expect(fetched).toEqual([`${ISS}/jwks`, `${OTHER}/jwks`, `${ISS}/jwks`])
  })

  describe('while a new token is proved', () => {
    // A curve that is always proved on the thread pool, so that the function's answer comes before the proof ends.
    const slow = createSigningKey('ES384', { kid: 'slow' })
    const jwks = { keys: [slow.jwk] }
    const { fetch } = keyServer(() => [slow.jwk])
    const slowToken = () => token(ISS, {}, {}, slow)

    test.each<[what: string, first: () => IssuerOptions, then: () => IssuerOptions]>([
      ['the same options, keys among them', () => optionsOf(ISS, { jwks }), () => optionsOf(ISS, { jwks })],
      [
        'a function made anew',
        () => remoteOptions(ISS, { kind: () => 'delegation' } as never),
        () => remoteOptions(ISS, { kind: () => 'delegation' } as never),
      ],
      ['wider options', () => remoteOptions(ISS), () => remoteOptions(ISS, { audience: [AUDIENCE, 'https://second.example'] })],
      ['keys elsewhere', () => remoteOptions(ISS), () => remoteOptions(ISS, { jwksUri: `${ISS}/new-jwks` })],
    ])('with %s: the request is answered, not refused with 503', async (_what, first, then) => {
      let answer = first
      const server = serverOf(() => answer(), { fetch })
      expect(await outcome(server, slowToken())).toBe('ok')
      answer = then
      clock += 4 * MINUTE
      expect(await Promise.all([0, 1, 2].map(() => outcome(server, slowToken())))).toEqual(['ok', 'ok', 'ok'])
    })

    test('with a narrower audience: the token is judged by that', async () => {
      let audience = AUDIENCE
      const server = serverOf(() => remoteOptions(ISS, { audience }), { fetch })
      expect(await outcome(server, slowToken())).toBe('ok')
      audience = 'https://other-api.example'
      clock += 4 * MINUTE
      expect(await outcome(server, slowToken())).toBe('audience_mismatch')
    })

    test('with null: the token is refused', async () => {
      let known = true
      const server = serverOf(() => (known ? remoteOptions(ISS) : null), { fetch })
      expect(await outcome(server, slowToken())).toBe('ok')
      known = false
      clock += 4 * MINUTE
      expect(await outcome(server, slowToken())).toBe('issuer_unknown')
    })

    test('with a failure: nothing changes', async () => {
      let down = false
      const server = serverOf(
        () => {
          if (down) throw new Error('down')
          return remoteOptions(ISS)
        },
        { fetch },
      )
      expect(await outcome(server, slowToken())).toBe('ok')
      down = true
      clock += 4 * MINUTE
      expect(await outcome(server, slowToken())).toBe('ok')
    })
  })

  test('more issuers at once than are kept: slower, not refused', async () => {
    const slow = createSigningKey('ES384', { kid: 'slow' })
    const names = Array.from({ length: 6 }, (_, index) => `${ISS}/${index}`)
    const { lookup } = table(names.map((name) => optionsOf(name, { jwks: { keys: [slow.jwk] } })))
    const server = serverOf(lookup, { limits: { issuers: 2 } })
    expect(await Promise.all(names.map((name) => outcome(server, token(name, {}, {}, slow))))).toEqual(names.map(() => 'ok'))
  })
})

describe('control by hand', () => {
  test('[BEHALF-evict] evict(iss) asks again at once: what is off the list is refused, cached tokens too', async () => {
    const { known, asked, lookup } = table([optionsOf(ISS), optionsOf(OTHER)])
    const server = serverOf(lookup)
    const [cached, others] = [token(ISS), token(OTHER)]
    const context = await server.verify(others)
    expect(await outcome(server, cached)).toBe('ok')
    known.delete(ISS)
    expect(await outcome(server, cached)).toBe('ok')
    server.keys.evict(ISS)
    expect(await outcome(server, cached)).toBe('issuer_unknown')
    expect(await server.verify(others), "another issuer's tokens stay").toBe(context)
    expect(asked).toEqual([OTHER, ISS, ISS])
  })

  test('evict(iss) reads the keys anew where the issuer is still on the list', async () => {
    const { asked: fetched, fetch } = keyServer()
    const { asked, lookup } = table([remoteOptions(ISS)])
    const server = serverOf(lookup, { fetch })
    const cached = token(ISS)
    const context = await server.verify(cached)
    server.keys.evict(ISS)
    const again = await server.verify(cached)
    expect(again).not.toBe(context)
    expect(again).toEqual(context)
    expect([asked.length, fetched.length]).toEqual([2, 2])
  })

  test('evict(iss) ends the memory of an unknown issuer: a new tenant need not wait for a minute', async () => {
    const { known, lookup } = table()
    const server = serverOf(lookup)
    expect(await outcome(server, token(ISS))).toBe('issuer_unknown')
    known.set(ISS, optionsOf(ISS))
    expect(await outcome(server, token(ISS))).toBe('issuer_unknown')
    server.keys.evict(ISS)
    expect(await outcome(server, token(ISS))).toBe('ok')
  })

  test('an answer that was asked for before evict(iss) does not count after it', async () => {
    const gates = [deferred<IssuerOptions | null>(), deferred<IssuerOptions | null>()]
    let asked = 0
    const server = serverOf(() => gates[asked++]?.promise ?? null)
    const before = outcome(server, token(ISS))
    await settle()
    server.keys.evict(ISS)
    const after = outcome(server, token(ISS))
    await settle()
    expect(asked).toBe(2)
    gates[0]?.resolve(optionsOf(ISS))
    expect(await before).toBe('issuer_unavailable')
    gates[1]?.resolve(null)
    expect(await after).toBe('issuer_unknown')
    expect(server.keys.state()).toEqual([])
  })

  test('evict() of a name that nobody asked for does nothing, and refresh() of one is refused as a request would be', async () => {
    const { lookup } = table([remoteOptions(OTHER)])
    const { asked: fetched, fetch } = keyServer()
    const server = serverOf(lookup, { fetch })
    expect(() => server.keys.evict(ISS)).not.toThrow()
    await expect(server.keys.refresh(ISS)).rejects.toMatchObject({ code: 'issuer_unknown' })
    await server.keys.refresh(OTHER)
    expect(fetched).toEqual([`${OTHER}/jwks`])
    expect(server.keys.state()).toMatchObject([{ issuer: OTHER, keys: 1, ageSeconds: 0, stale: false }])
  })

  test("ready() asks for nobody and waits for nobody: one tenant's trouble is not the API's", async () => {
    const { asked, lookup } = table([remoteOptions(ISS)])
    let down = false
    const { asked: fetched, fetch } = keyServer()
    const server = serverOf(lookup, { fetch: (url, init) => (down ? Promise.reject(new Error('down')) : fetch(url, init)) })
    await server.ready()
    expect(asked).toEqual([])
    expect(await outcome(server, token(ISS))).toBe('ok')
    clock += 2 * 3600_000
    down = true
    expect(await outcome(server, token(ISS))).toBe('keys_unavailable')
    await server.ready()
    expect(server.keys.state()).toMatchObject([{ issuer: ISS, failures: 1 }])
    expect(fetched).toHaveLength(1)
  })
})

describe('rules and requirements', () => {
  const audit = { sinks: [memorySink()] }

  test('may name issuers that nobody was asked for yet', async () => {
    const { lookup } = table([optionsOf(ISS), optionsOf(OTHER)])
    for (const issuer of [ISS, [ISS, OTHER], 'https://never.example']) {
      const rule = anyRule({ issuer, actor: { id: 'support-1' } })
      expect(() => serverOf(lookup, { delegation: [rule], audit })).not.toThrow()
    }
    const server = serverOf(lookup)
    expect(() => server.guard({ issuer: ISS, subject: { id: 'user-1' } })).not.toThrow()
  })

  test('that name an id must say whose: the same id at two tenants is two parties', () => {
    const { lookup } = table()
    for (const rule of [anyRule({ actor: { id: 'support-1' } }), anyRule({ subject: [{ type: 'user' }, { id: 'user-1' }] })]) {
      expect(() => serverOf(lookup, { delegation: [rule], audit })).toThrow(/names an id and needs issuer/)
      expect(() => serverOf(lookup, { delegation: [rule], audit })).toThrow(ConfigError)
      expect(() => serverOf(lookup, { delegation: [{ ...rule, issuer: ISS }], audit })).not.toThrow()
    }
    const server = serverOf(lookup)
    for (const party of [{ subject: { id: 'user-1' } }, { actor: { id: 'support-1' } }, { subject: { not: { id: 'admin' } } }]) {
      expect(() => server.guard(party)).toThrow(/names an id and needs issuer/)
    }
    expect(() => server.guard({ actor: { profile: 'ai_agent' } })).not.toThrow()
  })

  test('hold for the one tenant that they name', async () => {
    const { lookup } = table([optionsOf(ISS), optionsOf(OTHER)])
    const door = await DOORS[0]?.open(
      { issuers: lookup, now, delegation: [anyRule({ issuer: ISS, actor: { id: 'support-1' } })], audit },
      [{ method: 'GET', path: '/context', requirement: {} }],
    )
    try {
      const act = { sub: 'support-1' }
      expect((await door?.ask('/context', { token: token(ISS, { act }) }))?.status).toBe(200)
      expect((await door?.ask('/context', { token: token(OTHER, { act }) }))?.status).toBe(403)
    } finally {
      await door?.close()
    }
  })
})

describe('somebody who runs an issuer of their own', () => {
  let tenant: TestIssuer
  let attacker: TestIssuer
  beforeAll(async () => {
    tenant = await createTestIssuer({ algorithms: ['EdDSA'], audience: AUDIENCE })
    attacker = await createTestIssuer({ algorithms: ['EdDSA'], audience: AUDIENCE })
  })
  afterAll(async () => {
    await tenant.close()
    await attacker.close()
  })

  // The attacker's issuer is on loopback here; on the Internet it would be a public https server, and need no permission.
  const discovery = { allowPrivateAddresses: true }
  const serverWith = (issuers: IssuerLookup) => createResourceServer({ issuers, discovery })
  /** Perfect in every part: signed by the key that its issuer shows, with the right audience, and `sub` of the attacker's choice. */
  const perfect = () => attacker.token({ claims: { sub: 'admin', scope: 'orders:read orders:refund' } })

  test('[BEHALF-issuer-lookup] is refused where the function looks issuers up in a list, and nothing is fetched from them', async () => {
    const tenants = new Map([[tenant.issuer, tenant.options()]])
    const server = serverWith((unverifiedIss) => tenants.get(unverifiedIss) ?? null)
    expect((await server.verify(tenant.token())).token.issuer).toBe(tenant.issuer)
    expect(await refusal(server, perfect())).toMatchObject({ code: 'issuer_unknown', status: 401 })
    expect(attacker.hits).toEqual({ jwks: 0, metadata: 0 })
  })

  test('gains nothing by naming the tenant, nor by any spelling of its name', async () => {
    const tenants = new Map([[tenant.issuer, tenant.options()]])
    const server = serverWith((unverifiedIss) => tenants.get(unverifiedIss) ?? null)
    const as = (iss: string, header = {}) => attacker.token({ claims: { iss, sub: 'admin' }, header })
    expect(await outcome(server, as(tenant.issuer))).toBe('key_unknown')
    expect(await outcome(server, as(tenant.issuer, { kid: tenant.key().kid }))).toBe('signature_invalid')
    const { port } = new URL(attacker.issuer)
    for (const iss of [
      `${tenant.issuer}/`,
      `${tenant.issuer}@127.0.0.1:${port}`,
      `${tenant.issuer}#${attacker.issuer}`,
      tenant.issuer.toUpperCase(),
    ]) {
      expect(await outcome(server, as(iss)), iss).toBe('issuer_unknown')
    }
    expect(attacker.hits).toEqual({ jwks: 0, metadata: 0 })
  })

  test('is ADMITTED where options are made from iss: that is why they must never be', async () => {
    // Every check passes, because the attacker says by which options to check.
    const derived = serverWith((unverifiedIss) => oauth({ issuer: unverifiedIss, audience: AUDIENCE }))
    const context = await derived.verify(perfect())
    expect([context.subject.id, context.scopes]).toEqual(['admin', ['orders:read', 'orders:refund']])

    // A pattern is no list either: anybody may have a name that fits it.
    const patterned = serverWith((unverifiedIss) =>
      unverifiedIss.startsWith('http://127.0.0.1') ? oauth({ issuer: unverifiedIss, audience: AUDIENCE }) : null,
    )
    expect((await patterned.verify(perfect())).subject.id).toBe('admin')
  })
})
