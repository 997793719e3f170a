/** What a token is bound to, as its `cnf` says it (RFC 7800 3.1, RFC 8705 3.1, RFC 9449 6.1). */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FUZZ_FACTOR, FUZZ_SEED } from '../../../test/support/fuzz-settings.js'
import { readConfirmation } from '../src/binding/confirmation.js'
import type { JsonObject, JsonValue } from '../src/token/json.js'

/** As tokens are parsed: without prototypes at any depth. */
function claimsOf(claims: unknown): JsonObject {
  return JSON.parse(JSON.stringify(claims), (_name, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.assign(Object.create(null), value) : value,
  ) as JsonObject
}

const read = (cnf: unknown) => readConfirmation(claimsOf({ sub: 'user-1', cnf }))

const ONE = 'ABHgdC1_J1hx62aw-RG8JbTVYtk8KkxU89OOnbm3ZXU'
const OTHER = 'sxoBjirNhqYGB2350TUf7Ykvng5WQIa3rX4YjAcH0Ro'

test('nothing is said', () => {
  expect(readConfirmation(claimsOf({ sub: 'user-1' }))).toBeNull()
})

test('only the top level counts: what an actor is bound to says nothing about the sender', () => {
  const inner = { cnf: { jkt: ONE } }
  expect(readConfirmation(claimsOf({ act: { sub: 'agent-1', ...inner }, may_act: inner, ext: inner }))).toBeNull()
})

test.each([
  [{ jkt: ONE }, { jkt: ONE, certificate: null }],
  [{ 'x5t#S256': ONE }, { jkt: null, certificate: ONE }],
  [
    { 'x5t#S256': ONE, jkt: OTHER },
    { jkt: OTHER, certificate: ONE },
  ],
  [
    { jkt: ONE, 'x5t#S256': ONE },
    { jkt: ONE, certificate: ONE },
  ],
])('%j is read', (cnf, confirmation) => {
  expect(read(cnf)).toEqual(confirmation)
  expect(Object.isFrozen(read(cnf))).toBe(true)
})

describe.each(['jkt', 'x5t#S256'])('%s', (name) => {
  test.each<JsonValue>([
    ...[null, true, false, 0, 1, '', ' ', [], {}, [ONE], { value: ONE }],
    ...[`${ONE}=`, ` ${ONE}`, `${ONE} `, `${ONE}\n`, `${ONE}\u0000`, ONE.slice(1), `A${ONE}`, ONE.repeat(2)],
    ...[Buffer.from(ONE, 'base64url').toString('base64'), Buffer.from(ONE, 'base64url').toString('hex')],
    ...[`+${ONE.slice(1)}`, `/${ONE.slice(1)}`, `\u0410${ONE.slice(1)}`, `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${ONE}`],
  ])('is no thumbprint: %j', (value) => {
    expect(read({ [name]: value })).toBe('unsupported')
    expect(read({ jkt: ONE, 'x5t#S256': ONE, [name]: value })).toBe('unsupported')
  })

  test('is the one writing of 32 bytes: bits too many at the end are refused', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const taken = [...alphabet].filter((last) => read({ [name]: ONE.slice(0, -1) + last }) !== 'unsupported')
    expect(taken.join('')).toBe('AEIMQUYcgkosw048')
  })

  test('of any 32 bytes is read, and no other length of them', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 0, maxLength: 66 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (any, bytes) => {
          const text = Buffer.from(bytes).toString('base64url')
          expect(read({ [name]: text })).toMatchObject({ [name === 'jkt' ? 'jkt' : 'certificate']: text })
          if (any.length !== 32) expect(read({ [name]: Buffer.from(any).toString('base64url') })).toBe('unsupported')
        },
      ),
      { numRuns: 300 * FUZZ_FACTOR, seed: FUZZ_SEED },
    )
  })
})

test.each<JsonValue>([
  ...[null, true, false, 0, 1, '', ONE, [], {}, [{ jkt: ONE }]],
  ...[
    'jwk',
    'jwe',
    'kid',
    'jku',
    'x5t',
    'x5u',
    'x5t#s256',
    'X5T#S256',
    'x5t#S512',
    'JKT',
    'jkt ',
    'osc',
    'toString',
    '__proto__',
  ].flatMap((name) => [
    JSON.parse(`{${JSON.stringify(name)}:"${ONE}"}`) as JsonValue,
    JSON.parse(`{"jkt":"${ONE}",${JSON.stringify(name)}:"${ONE}"}`) as JsonValue,
    JSON.parse(`{"x5t#S256":"${ONE}",${JSON.stringify(name)}:null}`) as JsonValue,
  ]),
])('a binding that nobody here can check is never none: %j', (cnf) => {
  expect(read(cnf)).toBe('unsupported')
})

test('whatever it is: it is read, or it is refused, but never taken for none', () => {
  const member = fc.tuple(
    fc.constantFrom('jkt', 'x5t#S256', 'kid', '__proto__', ''),
    fc.oneof(fc.constantFrom(ONE, OTHER), fc.jsonValue()),
  )
  const cnf = fc.oneof(
    fc.jsonValue(),
    fc.array(member, { maxLength: 3 }).map((members) => Object.fromEntries(members)),
  )
  fc.assert(
    fc.property(cnf, (value) => {
      const result = read(value)
      expect(result).not.toBeNull()
      if (result === null || result === 'unsupported') return
      const { jkt, certificate } = result
      expect(value).toEqual({ ...(jkt !== null && { jkt }), ...(certificate !== null && { 'x5t#S256': certificate }) })
    }),
    { numRuns: 1000 * FUZZ_FACTOR, seed: FUZZ_SEED },
  )
})
