/** Answers that the issuer signs (RFC 9701), and everything that is not one. */
import { AuthError, type JsonObject, type JsonValue } from '@behalf/core'
import { createSigningKey } from '@behalf/testing'
import { describe, expect, test } from 'vitest'
import {
  JSON_TYPE,
  type Reply,
  SIGNED_TYPE,
  type SignedAnswer,
  says,
  sends,
  signedAnswer,
} from '../../../test/support/introspection-server.js'
import { StaticKeySet } from '../src/keys/static-key-set.js'
import { DEFAULT_LIMITS } from '../src/limits.js'
import {
  ACTIVE,
  type Asking,
  asking,
  CLIENT_ID,
  clock,
  endpointForTests,
  expectTrouble,
  GOOD,
  ISSUER,
  KEY,
  START,
  START_SECONDS,
} from './support/introspection-api.js'
import { settle } from './support/key-apis.js'

const server = await endpointForTests(signed())

function textOf(more: Partial<SignedAnswer> = {}): string {
  const nowSeconds = Math.floor(clock.time / 1000)
  return signedAnswer({ key: KEY, issuer: ISSUER, audience: CLIENT_ID, nowSeconds, answer: ACTIVE, ...more })
}

/** Signs when it is asked. */
function signed(more: Partial<SignedAnswer> = {}, type: string | null = SIGNED_TYPE): Reply {
  return (request, response, question) => sends(textOf(more), type)(request, response, question)
}

const asked = (options: object = {}, environment: Parameters<typeof asking>[2] = {}): Asking =>
  asking(server, { signed: true, ...options }, environment)

/** Nothing but good JSON. */
const keysOf = (...keys: (typeof KEY)[]) => new StaticKeySet({ keys: keys.map(({ jwk }) => jwk) }, 'jwks', DEFAULT_LIMITS)

describe('a signed answer', () => {
  test('[RFC9701-5-signature] [RFC9701-5-introspection] is proved, and what it holds is the answer', async () => {
    expect(await asked().claims('a-token')).toEqual(GOOD)
  })

  test.each(['token-introspection+jwt', 'Token-Introspection+JWT', 'application/token-introspection+jwt'])(
    '[RFC9701-5-typ] has the type %s',
    async (typ) => {
      server.reply = signed({ header: { typ } })
      expect(await asked().outcome('a-token')).toBe('ok')
    },
  )

  test.each<JsonValue | undefined>([
    undefined,
    'JWT',
    'at+jwt',
    'secevent+jwt',
    'token-introspection',
    'text/token-introspection+jwt',
    'xtoken-introspection+jwt',
    'token-introspection+jwt;x',
    '',
    1,
    ['token-introspection+jwt'],
  ])('[RFC9701-5-typ] [RFC9701-8.1-confusion] of another type is none: %j', async (typ) => {
    server.reply = signed({ header: { typ } })
    await expectTrouble(asked(), 'a-token', 'the answer is a JWT of another type')
  })

  test('[RFC9701-5-signature] by another key, or changed on its way, is none', async () => {
    const stranger = createSigningKey('ES256', { kid: KEY.kid })
    server.reply = signed({ key: stranger })
    await expectTrouble(asked(), 'a-token', 'the signature of the answer does not hold')
    const [header, , signature] = textOf().split('.')
    const claims = JSON.parse(Buffer.from(textOf().split('.')[1] ?? '', 'base64url').toString()) as JsonObject
    const forged = Buffer.from(JSON.stringify({ ...claims, token_introspection: { ...ACTIVE, sub: 'admin' } }))
    server.reply = sends(`${header}.${forged.toString('base64url')}.${signature}`, SIGNED_TYPE)
    await expectTrouble(asked(), 'a-token', 'the signature of the answer does not hold')
  })

  test('[RFC9701-5-signature] names a key of the issuer', async () => {
    server.reply = signed({ header: { kid: 'other' } })
    await expectTrouble(asked(), 'a-token', 'the answer is signed by a key that is not one of the issuer')
    for (const kid of [1, null, 'k'.repeat(257)]) {
      server.reply = signed({ header: { kid } })
      await expectTrouble(asked(), 'a-token', 'the answer names its key unreadably')
    }
    server.reply = signed({ header: { kid: undefined } })
    expect(await asked().outcome('a-token')).toBe('ok')
    const two = keysOf(KEY, createSigningKey('ES256', { kid: 'two' }))
    await expectTrouble(asked({}, { keys: two }), 'a-token', 'the answer is signed by a key that is not one of the issuer')
  })

  test.each(['none', 'HS256', 'es256', 'RS256', undefined])(
    '[RFC9701-5-signature] by an algorithm that the issuer is not given is none: %j',
    async (alg) => {
      server.reply = signed({ header: { alg } })
      const because = 'the answer is signed by an algorithm that is not accepted'
      await expectTrouble(asked({}, { algorithms: new Set(['ES256']) }), 'a-token', because)
    },
  )

  test.each(['', 'a', 'a.b', 'e30.e30.', 'e30.e30.AA.AA.AA', JSON.stringify(ACTIVE)])(
    '[RFC9701-5-signature] that is no JWS is none: %j',
    async (text) => {
      server.reply = sends(text, SIGNED_TYPE)
      await expectTrouble(asked(), 'a-token', 'the answer is not a well-formed signed JWT')
    },
  )

  test('[RFC9701-5-signature] with an extension that must be understood is none', async () => {
    server.reply = signed({ header: { crit: ['b64'], b64: true } })
    await expectTrouble(asked(), 'a-token', 'the answer is not a well-formed signed JWT')
  })

  test.each<JsonValue | undefined>([undefined, 'https://other.example.test', `${ISSUER}/`, null, [ISSUER]])(
    '[RFC9701-5-iss] of another issuer is none: %j',
    async (iss) => {
      server.reply = signed({ claims: { iss } })
      await expectTrouble(asked(), 'a-token', 'the answer is of another issuer')
    },
  )

  test.each<JsonValue | undefined>([
    undefined,
    'other',
    `${CLIENT_ID} `,
    '',
    null,
    [],
    ['other'],
    [[CLIENT_ID]],
    { aud: CLIENT_ID },
  ])('[RFC9701-5-aud] for somebody else is none: %j', async (aud) => {
    server.reply = signed({ claims: { aud } })
    await expectTrouble(asked(), 'a-token', 'the answer is for somebody else')
  })

  test('[RFC9701-5-aud] is for the audience that is configured', async () => {
    const audience = 'https://api.example.test'
    const api = () => asked({ signed: { audience } })
    server.reply = signed({ claims: { aud: ['other', audience] } })
    expect(await api().outcome('a-token')).toBe('ok')
    server.reply = signed()
    await expectTrouble(api(), 'a-token', 'the answer is for somebody else')
  })

  test.each<JsonValue | undefined>([undefined, null, `${START_SECONDS}`, START_SECONDS + 5.001, START_SECONDS + 60, START])(
    '[RFC9701-5-iat] without a possible time is none: %j',
    async (iat) => {
      server.reply = signed({ claims: { iat } })
      await expectTrouble(asked(), 'a-token', 'the answer does not say a possible time of its making')
    },
  )

  test.each([START_SECONDS - 5.001, START_SECONDS - 6, 0, -1])(
    '[RFC9701-5-iat] that is older than the question is none: %j',
    async (iat) => {
      server.reply = signed({ claims: { iat } })
      await expectTrouble(asked(), 'a-token', 'the answer is older than the question')
    },
  )

  test.each([START_SECONDS - 5, START_SECONDS, START_SECONDS + 5])(
    '[RFC9701-5-iat] within the tolerance is one: %j',
    async (iat) => {
      server.reply = signed({ claims: { iat } })
      expect(await asked().outcome('a-token')).toBe('ok')
    },
  )

  test('[RFC9701-5-iat] made in whole seconds is no older than the question, without any tolerance', async () => {
    clock.time = START + 900
    expect(await asked({}, { toleranceSeconds: 0 }).outcome('a-token')).toBe('ok')
  })

  test.each<[JsonObject, string]>([
    [{ exp: START_SECONDS - 5 }, 'the answer has expired'],
    [{ exp: 'soon' }, 'the answer has expired'],
    [{ nbf: START_SECONDS + 6 }, 'the answer is not valid yet'],
    [{ nbf: null }, 'the answer is not valid yet'],
  ])('[RFC7519-4.1.4-answer] out of its time is none: %j', async (claims, because) => {
    server.reply = signed({ claims })
    await expectTrouble(asked(), 'a-token', because)
  })

  test('[RFC7519-4.1.4-answer] may say a time, and whatever else nobody needs', async () => {
    server.reply = signed({
      claims: { exp: START_SECONDS - 4, nbf: START_SECONDS + 5, sub: 'somebody', active: false, jti: 'x' },
    })
    expect(await asked().claims('a-token')).toEqual(GOOD)
  })

  test.each<JsonValue | undefined>([undefined, null, 'text', true, [], [ACTIVE]])(
    '[RFC9701-5-introspection] without an introspection is none: %j',
    async (answer) => {
      server.reply = signed({ claims: { ...ACTIVE, aud: CLIENT_ID, token_introspection: answer } })
      await expectTrouble(asked(), 'a-token', 'the answer holds no introspection')
    },
  )

  test('[RFC9701-5-introspection] is judged by what it holds, as any other', async () => {
    server.reply = signed({ answer: { active: false } })
    expect(await asked().outcome('a-token')).toBe('token_inactive')
    server.reply = signed({ answer: { ...ACTIVE, token_use: 'refresh_token' } })
    expect(await asked().outcome('a-token')).toBe('token_type_refused')
    server.reply = signed({ answer: { ...ACTIVE, active: 'true' } })
    expect(await asked().outcome('a-token')).toBe('token_inactive')
    server.reply = signed({ answer: GOOD })
    await expectTrouble(asked(), 'a-token', 'the answer does not say whether the token is active')
    server.reply = signed({ answer: { ...ACTIVE, iss: 'https://other.example.test' } })
    await expectTrouble(asked(), 'a-token', 'the answer names another issuer')
  })
})

describe('where signed answers are asked for', () => {
  test.each<[string, Reply]>([
    ['active', says(ACTIVE)],
    ['inactive', says({ active: false })],
    ['active, under the other media type', says(ACTIVE, SIGNED_TYPE)],
    ['inactive, under the other media type', says({ active: false }, SIGNED_TYPE)],
    [
      'of the form of a signed one',
      says({ iss: ISSUER, aud: CLIENT_ID, iat: START_SECONDS, token_introspection: ACTIVE }, SIGNED_TYPE),
    ],
  ])('[RFC9701-5-unsigned] an unsigned answer is never believed: %s', async (_what, reply) => {
    server.reply = reply
    await expectTrouble(asked(), 'a-token')
  })

  test.each([JSON_TYPE, 'application/jwt', 'text/plain', null])(
    '[RFC9701-5-media-type] a signed one under another media type is not, either: %j',
    async (type) => {
      server.reply = signed({}, type)
      await expectTrouble(asked(), 'a-token', 'the answer is of another media type')
    },
  )

  test('[RFC9701-5-media-type] a signed one is not believed where it was not asked for', async () => {
    await expectTrouble(asking(server), 'a-token', 'the answer is of another media type')
    server.reply = signed({}, JSON_TYPE)
    await expectTrouble(asking(server), 'a-token', 'the answer is not a JSON object')
  })
})

describe("the issuer's keys", () => {
  test('[Design-introspection-keys] are needed: without them it is our trouble, and nothing is known of the token', async () => {
    const keys = keysOf(KEY)
    keys.evict()
    const api = asked({}, { keys })
    const { code, status, headers } = await api.error('a-token')
    expect([code, status, headers['retry-after']]).toEqual(['keys_unavailable', 503, '5'])
    await keys.refresh()
    expect(await api.outcome('a-token')).toBe('ok')
  })

  test('[Design-introspection-keys] that are away let no question be sent: its answer could not be proved', async () => {
    const keys = keysOf(KEY)
    keys.evict()
    const api = asked({}, { keys, random: () => 1 })
    for (const token of ['one', 'two', 'three', 'one']) expect(await api.outcome(token)).toBe('keys_unavailable')
    expect(server.questions).toHaveLength(0)
    await keys.refresh()
    for (const token of ['one', 'two', 'three']) expect(await api.outcome(token)).toBe('ok')
  })

  test('[Design-introspection-keys] that have to be read first are waited for, before anything is asked', async () => {
    const keys = keysOf(KEY)
    let arrive = () => {}
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve
    })
    const within = keys.within.bind(keys)
    keys.within = async (age) => {
      await arrived
      return within(age)
    }
    const api = asked({}, { keys })
    const outcomes = [api.outcome('a-token'), api.outcome('a-token')]
    await settle()
    expect(server.questions).toHaveLength(0)
    arrive()
    expect(await Promise.all(outcomes)).toEqual(['ok', 'ok'])
    expect(server.questions).toHaveLength(1)
  })

  test('[Design-introspection-keys] are not asked for where answers are not signed', async () => {
    const keys = keysOf(KEY)
    keys.evict()
    server.reply = says(ACTIVE)
    expect(await asking(server, {}, { keys }).outcome('a-token')).toBe('ok')
  })

  test('[Design-introspection-keys] that cannot be read to prove an answer are trouble with it, like an answer that is none', async () => {
    const keys = keysOf(KEY)
    const find = keys.find.bind(keys)
    keys.find = () => {
      throw new AuthError('keys_unavailable', { retryAfterSeconds: 5 })
    }
    const api = asked({}, { keys, random: () => 1 })
    expect(await api.outcome('one')).toBe('keys_unavailable')
    await expectTrouble(api, 'one', 'the keys of the issuer are not available')
    expect(await api.outcome('two')).toBe('keys_unavailable')
    for (const token of ['three', 'four']) await expectTrouble(api, token, 'the keys of the issuer are not available')
    expect(server.asked).toEqual(['one', 'two'])
    keys.find = find
    clock.time = START + 5_000
    for (const token of ['one', 'two', 'three']) expect(await api.outcome(token)).toBe('ok')
  })

  test('[Design-introspection-forget] an answer whose keys were evicted on its way is asked for again, and is no trouble', async () => {
    const keys = keysOf(KEY)
    const api = asked({}, { keys, random: () => 1 })
    server.reply = (request, response, question) => {
      keys.evict()
      api.introspector.forget()
      server.reply = signed()
      void keys.refresh().then(() => sends('', SIGNED_TYPE)(request, response, question))
    }
    expect(await api.outcome('one')).toBe('ok')
    expect(server.asked).toEqual(['one', 'one'])
  })

  test('[Design-introspection-keys] are asked for as fresh as delegated calls need them', async () => {
    const keys = keysOf(KEY)
    const ages: number[] = []
    const watched = Object.assign(Object.create(keys) as StaticKeySet, {
      within: (age: number) => {
        ages.push(age)
        return keys.within(age)
      },
      find: keys.find.bind(keys),
    })
    Object.defineProperty(watched, 'latest', { get: () => keys.latest })
    expect(await asked({}, { keys: watched }).outcome('a-token')).toBe('ok')
    const age = DEFAULT_LIMITS.keysStaleDelegatedSeconds
    expect(ages).toEqual([age, age]) // before it is asked, and when it is answered
  })

  test('[Design-introspection-keys] that are gone prove no answer that is kept', async () => {
    const keys = keysOf(KEY)
    const api = asked({}, { keys })
    expect(await api.outcome('a-token')).toBe('ok')
    expect(api.introspector.known('a-token')).toBeDefined()
    keys.evict()
    expect(api.introspector.known('a-token')).toBeUndefined()
    expect(await api.outcome('a-token')).toBe('keys_unavailable')
    await keys.refresh()
    expect(await api.outcome('a-token')).toBe('ok')
    expect(server.questions).toHaveLength(2)
  })

  test('[Design-introspection-keys] that go while an answer is proved do not prove it', async () => {
    const keys = keysOf(KEY)
    const find = keys.find.bind(keys)
    keys.find = async (kid, algorithm) => {
      const key = await find(kid, algorithm)
      keys.evict()
      return key
    }
    await expectTrouble(asked({}, { keys }), 'a-token', 'the key of the answer is not one of the issuer any more')
  })

  test('[Design-introspection-keys] a failure of another sort is told as ours, in fixed words', async () => {
    const keys = keysOf(KEY)
    keys.find = () => {
      throw new TypeError('secret of a library')
    }
    await expectTrouble(asked({}, { keys }), 'a-token', 'the answer could not be read')
    keys.find = () => {
      throw new AuthError('key_unknown')
    }
    await expectTrouble(asked({}, { keys }), 'b-token', 'the answer is signed by a key that is not one of the issuer')
  })
})
