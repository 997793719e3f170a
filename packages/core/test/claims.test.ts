import { describe, expect, test } from 'vitest'
import { checkAudience } from '../src/claims/audience.js'
import type { ClaimCheckInput, ClaimPolicy } from '../src/claims/claim-check.js'
import { checkClient } from '../src/claims/client.js'
import { checkExpiry } from '../src/claims/expiry.js'
import { checkIdentifiers } from '../src/claims/identifiers.js'
import { checkClaims, checkTimes } from '../src/claims/index.js'
import { checkIssuedAt } from '../src/claims/issued-at.js'
import { checkNotBefore } from '../src/claims/not-before.js'
import { checkPresentClaims } from '../src/claims/present-claims.js'
import { checkRequiredClaims } from '../src/claims/required-claims.js'
import { checkScopes } from '../src/claims/scopes.js'
import { checkSubject } from '../src/claims/subject.js'
import { checkTokenType, normalizeTokenType } from '../src/claims/token-type.js'
import { resolveClaims } from '../src/issuers/claim-options.js'
import { DEFAULT_LIMITS } from '../src/limits.js'
import type { JsonObject, JsonValue } from '../src/token/json.js'

const NOW = 1_790_000_000
const AUDIENCE = 'https://api.example.test'

const POLICY: ClaimPolicy = {
  tokenTypes: new Set(['application/at+jwt']),
  audience: new Set([AUDIENCE]),
  presentClaims: ['iss', 'sub', 'exp', 'aud', 'client_id'],
  requiredClaims: [['purpose', ['access_token']]],
  clientIds: new Set(['client-1']),
  mapping: resolveClaims({ tenant: 'org_id', subjectTenant: 'user_org', grant: 'sid' }, 'claims'),
}

const CLAIMS: JsonObject = {
  iss: 'https://as.example.test',
  sub: 'user-1',
  aud: AUDIENCE,
  client_id: 'client-1',
  purpose: 'access_token',
  scope: 'orders:read',
  jti: 'id-1',
  org_id: 'org-1',
  user_org: 'org-0',
  sid: 'session-1',
  sub_profile: 'user',
  iat: NOW,
  nbf: NOW,
  exp: NOW + 600,
}

interface Changes {
  readonly claims?: Readonly<Record<string, JsonValue | undefined>>
  readonly header?: JsonObject
  readonly policy?: Partial<ClaimPolicy>
  readonly nowSeconds?: number
  readonly toleranceSeconds?: number
}

/** A good token, with something changed; `undefined` takes a claim away. */
function input({ claims = {}, header, policy, ...rest }: Changes = {}): ClaimCheckInput {
  return {
    header: header ?? { typ: 'at+jwt' },
    claims: { ...CLAIMS, ...claims },
    policy: { ...POLICY, ...policy },
    limits: DEFAULT_LIMITS,
    nowSeconds: NOW,
    toleranceSeconds: 5,
    ...rest,
  }
}

test('the token that every test changes is good', () => {
  expect(checkClaims(input())).toBeNull()
  expect(checkTimes(input())).toBeNull()
})

describe('token type', () => {
  test('[RFC7515-4.1.9-typ] a media type has no case and may leave "application/" out, on both sides', () => {
    for (const typ of ['at+jwt', 'AT+JWT', 'application/at+jwt', 'APPLICATION/at+jwt']) {
      expect(normalizeTokenType(typ)).toBe('application/at+jwt')
      expect(checkTokenType(input({ header: { typ } }))).toBeNull()
    }
    expect(normalizeTokenType('text/at+jwt')).toBe('text/at+jwt')
  })

  test.each([undefined, null, '', 'JWT', 'at', ' at+jwt', 'at+jwt;x', 1, ['at+jwt']])('refuses %j', (typ) => {
    expect(checkTokenType(input({ header: typ === undefined ? {} : { typ } }))).toBe('token_type_refused')
  })

  test('absence must be allowed by name, and an unreadable type is not absence', () => {
    const policy = { tokenTypes: new Set(['application/jwt', null]) }
    for (const header of [{}, { typ: 'JWT' }, { typ: 'jwt' }]) expect(checkTokenType(input({ header, policy }))).toBeNull()
    for (const typ of [null, '', 0, false]) {
      expect(checkTokenType(input({ header: { typ }, policy })), JSON.stringify(typ)).toBe('token_type_refused')
    }
  })
})

describe('claims that must be there', () => {
  test.each(POLICY.presentClaims)('[RFC9068-2.2-claims] %s', (name) => {
    expect(checkPresentClaims(input())).toBeNull()
    expect(checkPresentClaims(input({ claims: { [name]: undefined } }))).toBe('claim_missing')
    // The value is another check's business.
    expect(checkPresentClaims(input({ claims: { [name]: null } }))).toBeNull()
  })

  test('an inherited name is no claim', () => {
    const claims = Object.assign(Object.create(null), CLAIMS)
    expect(checkPresentClaims({ ...input({ policy: { presentClaims: ['toString'] } }), claims })).toBe('claim_missing')
  })
})

describe('claims that tell tokens apart', () => {
  const required = (values: readonly (string | number | boolean | null)[], purpose: JsonValue | undefined) =>
    checkRequiredClaims(input({ claims: { purpose }, policy: { requiredClaims: [['purpose', values]] } }))

  test('[RFC8725-3.12-exclusive] have one of the values listed, exactly', () => {
    expect(required(['a', 'b'], 'a')).toBeNull()
    expect(required(['a', 'b'], 'b')).toBeNull()
    expect(required([1, true], 1)).toBeNull()
    expect(required([1, true], true)).toBeNull()
    for (const value of ['c', 'A', ' a', '', null, ['a'], { a: 'a' }, 1, true]) {
      expect(required(['a', 'b'], value), JSON.stringify(value)).toBe('claim_invalid')
    }
    expect(required([1], '1')).toBe('claim_invalid')
    expect(required([true], 'true')).toBe('claim_invalid')
  })

  test('may be absent only where null is listed, and null itself is no absence', () => {
    expect(required(['a'], undefined)).toBe('claim_missing')
    expect(required(['a', null], undefined)).toBeNull()
    expect(required(['a', null], null)).toBe('claim_invalid')
  })

  test('are all asked', () => {
    const requiredClaims = [
      ['purpose', ['access_token']],
      ['drn', ['DS']],
    ] as const
    expect(checkRequiredClaims(input({ policy: { requiredClaims } }))).toBe('claim_missing')
    expect(checkRequiredClaims(input({ policy: { requiredClaims }, claims: { drn: 'DS' } }))).toBeNull()
  })
})

describe('subject', () => {
  test.each(['a', 'a b', '\u5c71', '\u{1f600}', '0', 'null', '__proto__', 'x'.repeat(1024)])('accepts %j', (sub) => {
    expect(checkSubject(input({ claims: { sub } }))).toBeNull()
  })

  test.each([
    ...[undefined, null, '', 0, 1, true, [], ['a'], {}, 'x'.repeat(1025)],
    ...[' ', ' a', 'a ', '\t', 'a\u0000b', 'a\r', '\u007f', '\u0085', '\u200b', '\u202e', '\u2028', '\ufeff', '\ud800', '\u00a0'],
  ])('[RFC7519-4.1.2-sub] refuses %j', (sub) => {
    expect(checkSubject(input({ claims: { sub } }))).toBe('claim_invalid')
  })

  test('[BEHALF-limit-identifiers] length is counted in UTF-16 code units', () => {
    expect(checkSubject(input({ claims: { sub: '\u{1f600}'.repeat(512) } }))).toBeNull()
    expect(checkSubject(input({ claims: { sub: `${'\u{1f600}'.repeat(512)}a` } }))).toBe('claim_invalid')
  })
})

describe('audience', () => {
  const audience = (aud: JsonValue | undefined, policy: Partial<ClaimPolicy> = {}) =>
    checkAudience(input({ claims: { aud }, policy }))

  test.each([[AUDIENCE], [[AUDIENCE]], [['x', AUDIENCE]], [[AUDIENCE, AUDIENCE]]])('accepts %j', (aud) => {
    expect(audience(aud)).toBeNull()
  })

  test.each([`${AUDIENCE}/`, 'https://API.example.test', 'x', ['x'], []])(
    '[RFC7519-4.1.3-aud] refuses %j: for somebody else',
    (aud) => {
      expect(audience(aud)).toBe('audience_mismatch')
    },
  )

  test.each([null, '', 1, true, {}, [1], [null], [AUDIENCE, null], [[AUDIENCE]], [AUDIENCE, ''], [AUDIENCE, 'a\n']])(
    '[RFC7519-4.1.3-aud] refuses %j: unreadable',
    (aud) => {
      expect(audience(aud)).toBe('claim_invalid')
    },
  )

  test('one of several names of this API is enough', () => {
    const policy = { audience: new Set(['one', 'two']) }
    for (const aud of ['one', 'two', ['three', 'two']]) expect(audience(aud, policy)).toBeNull()
    expect(audience('three', policy)).toBe('audience_mismatch')
    expect(audience(undefined, policy)).toBe('claim_missing')
  })

  test('[RFC7519-4.1.3-aud-null] null admits absence alone', () => {
    expect(audience(undefined, { audience: null })).toBeNull()
    for (const aud of [AUDIENCE, [], [AUDIENCE], '']) expect(audience(aud, { audience: null })).toBe('audience_mismatch')
    for (const aud of [null, 1, {}]) expect(audience(aud, { audience: null })).toBe('claim_invalid')
  })

  test('[RFC7519-7.3-compare] code points are compared, and nothing is normalised', () => {
    const policy = { audience: new Set(['caf\u00e9']) }
    expect(audience('caf\u00e9', policy)).toBeNull()
    expect(audience('cafe\u0301', policy)).toBe('audience_mismatch')
  })
})

describe('client', () => {
  const client = (client_id: JsonValue | undefined, clientIds: ReadonlySet<string> | null = new Set(['client-1'])) =>
    checkClient(input({ claims: { client_id }, policy: { clientIds } }))

  test('is one of the list', () => {
    expect(client('client-1')).toBeNull()
    for (const other of ['client-2', 'Client-1', undefined]) expect(client(other)).toBe('client_refused')
  })

  test('[RFC8693-4.3-client] is readable where it is there at all', () => {
    expect(client('anybody', null)).toBeNull()
    expect(client(undefined, null)).toBeNull()
    for (const other of ['', null, 1, ['client-1'], 'x'.repeat(1025)]) {
      expect(client(other, null), JSON.stringify(other)).toBe('claim_invalid')
      expect(client(other), JSON.stringify(other)).toBe('claim_invalid')
    }
  })

  test('is the first claim present of those configured: a second one does not stand in for an unreadable first', () => {
    const mapping = resolveClaims({ client: ['client_id', 'azp'] }, 'claims')
    const both = (claims: Record<string, JsonValue | undefined>) => checkClient(input({ claims, policy: { mapping } }))
    expect(both({ client_id: undefined, azp: 'client-1' })).toBeNull()
    expect(both({ client_id: 'client-2', azp: 'client-1' })).toBe('client_refused')
    expect(both({ client_id: null, azp: 'client-1' })).toBe('claim_invalid')
  })
})

describe('times', () => {
  const exp = (value: JsonValue | undefined, more: Changes = {}) => checkExpiry(input({ claims: { exp: value }, ...more }))
  const nbf = (value: JsonValue | undefined, more: Changes = {}) => checkNotBefore(input({ claims: { nbf: value }, ...more }))
  const iat = (value: JsonValue | undefined, more: Changes = {}) => checkIssuedAt(input({ claims: { iat: value }, ...more }))

  test.each([0, 5, 300])(
    '[RFC7519-4.1.4-exp] exp: from the end of a tolerance of %i s on, the token has expired',
    (toleranceSeconds) => {
      const more = { toleranceSeconds }
      expect(exp(NOW - toleranceSeconds + 1, more)).toBeNull()
      expect(exp(NOW - toleranceSeconds, more)).toBe('token_expired')
      expect(exp(NOW - toleranceSeconds - 1, more)).toBe('token_expired')
    },
  )

  test('[RFC7519-4.1.4-exp] exp: fractions of a second count, in the clock and in the claim', () => {
    expect(exp(NOW - 5, { nowSeconds: NOW - 0.001 })).toBeNull()
    expect(exp(NOW - 4.5, { nowSeconds: NOW + 0.499 })).toBeNull()
    expect(exp(NOW - 4.5, { nowSeconds: NOW + 0.5 })).toBe('token_expired')
  })

  test.each([0, 5, 300])(
    '[RFC7519-4.1.5-nbf] nbf: before the beginning of a tolerance of %i s, the token is not valid yet',
    (toleranceSeconds) => {
      const more = { toleranceSeconds }
      expect(nbf(NOW + toleranceSeconds - 1, more)).toBeNull()
      expect(nbf(NOW + toleranceSeconds, more)).toBeNull()
      expect(nbf(NOW + toleranceSeconds + 1, more)).toBe('token_not_yet_valid')
      expect(nbf(undefined, more)).toBeNull()
    },
  )

  test.each([0, 5, 300])(
    '[RFC7519-4.1.6-iat] iat: beyond a tolerance of %i s, the token is of the future',
    (toleranceSeconds) => {
      const more = { toleranceSeconds }
      expect(iat(NOW + toleranceSeconds - 1, more)).toBeNull()
      expect(iat(NOW + toleranceSeconds, more)).toBeNull()
      expect(iat(NOW + toleranceSeconds + 1, more)).toBe('token_not_yet_valid')
      expect(iat(undefined, more)).toBeNull()
    },
  )

  test.each([null, '1', `${NOW}`, true, [], {}, [NOW], Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN])(
    '[RFC7519-2-numericdate] %j is no time',
    (value) => {
      expect([exp(value), nbf(value), iat(value)]).toEqual(['claim_invalid', 'claim_invalid', 'claim_invalid'])
    },
  )

  test('exp is always needed; zero and negative times are times', () => {
    expect(exp(undefined)).toBe('claim_missing')
    expect([exp(0), exp(-1), nbf(0), nbf(-1), iat(0), iat(-1)]).toEqual([
      'token_expired',
      'token_expired',
      null,
      null,
      null,
      null,
    ])
  })

  test('[BEHALF-time-on-hit] the checks that a known token passes again are exactly those of time', () => {
    expect(checkTimes(input({ claims: { exp: NOW - 5 } }))).toBe('token_expired')
    expect(checkTimes(input({ claims: { nbf: NOW + 6 } }))).toBe('token_not_yet_valid')
    expect(checkTimes(input({ claims: { iat: NOW + 6 } }))).toBe('token_not_yet_valid')
    expect(checkTimes(input({ claims: { aud: 'other', sub: '' }, header: {} }))).toBeNull()
  })
})

describe('scopes', () => {
  const scopes = (scope: JsonValue | undefined, format: 'string' | 'list' = 'string') =>
    checkScopes(
      input({ claims: { scope }, policy: { mapping: resolveClaims({ scopes: { claim: 'scope', format } }, 'claims') } }),
    )

  test('[RFC8693-4.2-scope] are one string, or a list where the issuer writes a list', () => {
    expect([scopes('a b'), scopes(''), scopes(undefined), scopes(['a'], 'list'), scopes([], 'list')]).toEqual([
      null,
      null,
      null,
      null,
      null,
    ])
    for (const other of [['a'], null, 1, {}]) expect(scopes(other), JSON.stringify(other)).toBe('claim_invalid')
    for (const other of ['a', null, 1, {}, [1], [''], [['a']], ['a', null]]) {
      expect(scopes(other, 'list'), JSON.stringify(other)).toBe('claim_invalid')
    }
  })

  test('each word is a clean identifier', () => {
    for (const scope of ['a\tb', 'a\u0000', 'a \u202e', `a ${'x'.repeat(1025)}`]) expect(scopes(scope)).toBe('claim_invalid')
    expect(scopes(`a ${'x'.repeat(1024)}`)).toBeNull()
  })
})

describe('identifiers', () => {
  test.each(['jti', 'org_id', 'user_org', 'sid', 'sub_profile'])('[BEHALF-limit-identifiers] %s is clean, or absent', (name) => {
    expect(checkIdentifiers(input({ claims: { [name]: undefined } }))).toBeNull()
    expect(checkIdentifiers(input({ claims: { [name]: 'x'.repeat(1024) } }))).toBeNull()
    for (const value of ['', null, 1, [], {}, 'a\n', ' a', 'x'.repeat(1025)]) {
      expect(checkIdentifiers(input({ claims: { [name]: value } })), JSON.stringify(value)).toBe('claim_invalid')
    }
  })
})

describe('order', () => {
  /** One change for every check, in the declared order, with the code that it gives. */
  const WRONG: readonly [code: string, change: Changes][] = [
    ['token_type_refused', { header: { typ: 'JWT' } }],
    ['claim_missing', { policy: { presentClaims: ['absent'] } }],
    ['claim_invalid', { claims: { sub: '' } }],
    ['claim_missing', { policy: { requiredClaims: [['absent', ['x']]] } }],
    ['audience_mismatch', { claims: { aud: 'other' } }],
    ['client_refused', { claims: { client_id: 'other' } }],
    ['token_expired', { claims: { exp: NOW - 600 } }],
    ['token_not_yet_valid', { claims: { nbf: NOW + 600 } }],
    ['claim_invalid', { claims: { iat: 'x' } }],
    ['claim_invalid', { claims: { scope: 1 } }],
    ['claim_invalid', { claims: { jti: 1 } }],
  ]
  const join = (one: Changes, other: Changes): Changes => ({
    ...one,
    ...other,
    claims: { ...one.claims, ...other.claims },
    policy: { ...one.policy, ...other.policy },
  })
  const pairs = WRONG.flatMap(([earlier, one], at) =>
    WRONG.slice(at + 1).map(([later, other]) => ({ earlier, later, one, other })),
  )

  test.each(WRONG)('%s alone', (code, change) => {
    expect(checkClaims(input(change))).toBe(code)
  })

  test.each(pairs)('[BEHALF-check-order] of $earlier and $later the earlier one is the answer', ({ earlier, one, other }) => {
    expect(checkClaims(input(join(one, other)))).toBe(earlier)
  })
})
