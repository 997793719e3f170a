import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isJwtShaped } from '../src/token/token-shape.js'

const encoded = (text: string) => Buffer.from(text).toString('base64url')
const part = fc.stringMatching(/^[A-Za-z0-9_-]{0,20}$/)
const parts = (least: number, most = least) => fc.array(part, { minLength: least, maxLength: most })
const object = fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.stringify(value))

describe('a token is a JWT by shape', () => {
  test('[Design-jwt-shape] where a JSON object stands before a dot, whatever follows', () => {
    fc.assert(
      fc.property(object, parts(1, 12), (header, rest) => {
        expect(isJwtShaped([encoded(header), ...rest].join('.'))).toBe(true)
      }),
    )
  })

  test('[Design-jwt-shape] not without any dot', () => {
    fc.assert(
      fc.property(object, (header) => {
        expect(isJwtShaped(encoded(header))).toBe(false)
      }),
    )
  })

  test('[Design-jwt-shape] however many dots stand before, between and after its parts', () => {
    const dots = fc.nat({ max: 3 }).map((count) => '.'.repeat(count))
    fc.assert(
      fc.property(object, dots, dots, dots, (header, before, between, after) => {
        expect(isJwtShaped(`${before}${encoded(header)}.${between}e30.AA${after}`)).toBe(true)
      }),
    )
  })

  test('[Design-jwt-shape] not where the first part is JSON, but no object', () => {
    const noObject = fc.jsonValue().filter((value) => typeof value !== 'object' || value === null || Array.isArray(value))
    fc.assert(
      fc.property(noObject, parts(2), (value, rest) => {
        expect(isJwtShaped([encoded(JSON.stringify(value)), ...rest].join('.'))).toBe(false)
      }),
    )
  })

  test('[Design-jwt-shape] also where the first part is not canonical: somebody may read it all the same', () => {
    fc.assert(
      fc.property(object, fc.constantFrom('~', '%', '~~'), fc.nat(), (header, odd, at) => {
        const good = encoded(header)
        const place = at % (good.length + 1)
        expect(isJwtShaped(`${good.slice(0, place)}${odd}${good.slice(place)}.e30.AA`)).toBe(true)
      }),
    )
    for (const first of ['e31', 'e30=', 'e30==', encoded('\ufeff{}'), encoded(' {} ')])
      expect(isJwtShaped(`${first}.e30.AA`)).toBe(true)
  })

  test('[Design-jwt-shape] not for any text of the characters of a bearer token without a JSON object in front', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9._~+/-]{0,60}$/), (token) => {
        const [first = ''] = token.replace(/^\.+/, '').split('.')
        let isObject = false
        try {
          const value: unknown = JSON.parse(Buffer.from(first, 'base64url').toString())
          isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
        } catch {}
        if (!isObject) expect(isJwtShaped(token)).toBe(false)
      }),
    )
  })

  test.each([
    ['', false],
    ['.', false],
    ['..', false],
    ['....', false],
    ['2YotnFZFEjr1zCsicMWpAA', false],
    ['a.b.c', false],
    ['v2.local.abc', false],
    ['ory_at_abc.def', false],
    ['.e30.AA', true],
    ['e30', false],
    ['e30.', true],
    ['e30.e30.AA.', true],
    [`${encoded(' {}')}..`, true],
    [`${encoded('{"alg":"none"}')}.e30.`, true],
    [`${encoded('{"alg":"dir","enc":"A256GCM"}')}..a.b.c`, true],
    [`${encoded('{"a":1,"a":2}')}.e30.AA`, true], // a broken JWT is one
    [`${encoded('{"alg"')}.e30.AA`, false],
  ])('[Design-jwt-shape] %j: %s', (token, shaped) => {
    expect(isJwtShaped(token)).toBe(shaped)
  })
})
