import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isJwtShaped } from '../src/token/token-shape.js'

const encoded = (text: string) => Buffer.from(text).toString('base64url')
const part = fc.stringMatching(/^[A-Za-z0-9_-]{0,20}$/)
const parts = (least: number, most = least) => fc.array(part, { minLength: least, maxLength: most })
const object = fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.stringify(value))

describe('a token is a JWT by shape', () => {
  test('[Design-jwt-shape] where a JSON object stands before two or four parts, whatever they are', () => {
    fc.assert(
      fc.property(object, fc.oneof(parts(2), parts(4)), (header, rest) => {
        expect(isJwtShaped([encoded(header), ...rest].join('.'))).toBe(true)
      }),
    )
  })

  test('[Design-jwt-shape] not with any other number of parts', () => {
    const others = parts(0, 12).filter(({ length }) => length !== 2 && length !== 4)
    fc.assert(
      fc.property(object, others, (header, rest) => {
        expect(isJwtShaped([encoded(header), ...rest].join('.'))).toBe(false)
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

  test('[Design-jwt-shape] not where the first part is no canonical base64url', () => {
    fc.assert(
      fc.property(object, fc.constantFrom('=', '==', '+', '/', ' ', '%', 'ä', '\n'), fc.nat(), (header, odd, at) => {
        const good = encoded(header)
        const place = at % (good.length + 1)
        expect(isJwtShaped(`${good.slice(0, place)}${odd}${good.slice(place)}.e30.AA`)).toBe(false)
      }),
    )
    expect(isJwtShaped('e31.e30.AA')).toBe(false) // trailing bits: decodes to {}
    expect(isJwtShaped('e30.e30.AA')).toBe(true)
  })

  test('[Design-jwt-shape] not for any text of the characters of a bearer token without a JSON object in front', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9._~+/-]{0,60}$/), (token) => {
        const [first = ''] = token.split('.')
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
    ['.e30.AA', false],
    [`${encoded(' {}')}..`, true],
    [`${encoded('{"alg":"none"}')}.e30.`, true],
    [`${encoded('{"alg":"dir","enc":"A256GCM"}')}..a.b.c`, true],
    [`${encoded('{"a":1,"a":2}')}.e30.AA`, true], // a broken JWT is one
    [`${encoded('{"alg"')}.e30.AA`, false],
  ])('[Design-jwt-shape] %j: %s', (token, shaped) => {
    expect(isJwtShaped(token)).toBe(shaped)
  })
})
