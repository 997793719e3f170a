import { describe, expect, test } from 'vitest'
import { AuthError } from '../src/errors.js'
import type { RequestView } from '../src/request-view.js'
import { type CredentialsSource, isBearerToken, readCredentials } from '../src/token/credentials.js'

function requestWith(...authorization: string[]): RequestView {
  return {
    method: 'GET',
    wireMethod: 'GET',
    path: '/',
    url: '/',
    route: null,
    authorization,
    header: () => null,
    peer: null,
    clientCertificate: null,
    raw: null,
  }
}

/** The token, `null`, or the code of the refusal. */
function read(lines: readonly string[], from: CredentialsSource | null = null, offersDpop = false): string | null {
  try {
    const credentials = readCredentials(requestWith(...lines), from, offersDpop)
    if (credentials === null) return null
    const { scheme, token } = credentials
    if (!isBearerToken(token)) return 'credentials_malformed' // as the server does
    return scheme === 'Bearer' ? `token ${token}` : `bound ${token}`
  } catch (error) {
    if (error instanceof AuthError) return error.code
    throw error
  }
}

describe('the Authorization field', () => {
  test.each([
    // A token is whatever follows the grammar; whether it is one is judged later.
    ['Bearer a', 'token a'],
    ['Bearer a.b.c', 'token a.b.c'],
    ['bearer a.b.c', 'token a.b.c'],
    ['BEARER a.b.c', 'token a.b.c'],
    ['Bearer    a.b.c', 'token a.b.c'],
    ['Bearer AZaz09-._~+/', 'token AZaz09-._~+/'],
    ['Bearer a=', 'token a='],
    ['Bearer a===', 'token a==='],
    ['Bearer Bearer', 'token Bearer'],
    // Another scheme is no credential for this API.
    ['Basic dTpw', 'credentials_missing'],
    ['Digest username="u"', 'credentials_missing'],
    ['Bearer2 a.b.c', 'credentials_missing'],
    ['BearerToken', 'credentials_missing'],
    ['Bearer-Token a', 'credentials_missing'],
    ['a.b.c', 'credentials_missing'],
    ['Basic', 'credentials_missing'],
    // Bound credentials are never read as bearer ones.
    ['DPoP a.b.c', 'binding_unsupported'],
    ['dpop a.b.c', 'binding_unsupported'],
    ['DPOP', 'binding_unsupported'],
    // What is meant for us, and cannot be read.
    ['', 'credentials_malformed'],
    [' ', 'credentials_malformed'],
    ['Bearer', 'credentials_malformed'],
    ['Bearer ', 'credentials_malformed'],
    ['Bearer    ', 'credentials_malformed'],
    [' Bearer a.b.c', 'credentials_malformed'],
    ['Bearer a.b.c ', 'credentials_malformed'],
    ['Bearer a b', 'credentials_malformed'],
    ['Bearer a,b', 'credentials_malformed'],
    ['Bearer a.b.c, Bearer a.b.c', 'credentials_malformed'],
    ['Bearer a.b.c,Basic dTpw', 'credentials_malformed'],
    ['Bearer =', 'credentials_malformed'],
    ['Bearer =a', 'credentials_malformed'],
    ['Bearer a=b', 'credentials_malformed'],
    ['Bearer\ta.b.c', 'credentials_malformed'],
    ['Bearer \ta.b.c', 'credentials_malformed'],
    ['Bearer\u00a0a.b.c', 'credentials_malformed'],
    ['Bearer\u0000 a.b.c', 'credentials_malformed'],
    ['Bearer a.b.c\n', 'credentials_malformed'],
    ['Bearer a.b.c\r\nX: y', 'credentials_malformed'],
    ['Bearer a\u0000', 'credentials_malformed'],
    ['Bearer \u00e4', 'credentials_malformed'],
    ['Bearer a%2Eb', 'credentials_malformed'],
    ['Bearer "a.b.c"', 'credentials_malformed'],
    ['Bearer: a.b.c', 'credentials_malformed'],
    ['Bearer, a.b.c', 'credentials_malformed'],
    ['"Bearer" a.b.c', 'credentials_malformed'],
    // Letters that look or fold like ASCII ones are in no scheme.
    ['Bea\u0280er a.b.c', 'credentials_malformed'],
    ['\u212aasic a', 'credentials_malformed'],
  ])('%j: %s', (line, result) => {
    expect(read([line])).toBe(result)
  })

  test.each([
    ['DPoP a.b.c', 'bound a.b.c'],
    ['dpop a.b.c', 'bound a.b.c'],
    ['DPOP   a', 'bound a'],
    ['Bearer a.b.c', 'token a.b.c'],
    ['DPoP', 'credentials_malformed'],
    ['DPoP a b', 'credentials_malformed'],
    ['DPoP a, Bearer b', 'credentials_malformed'],
    ['DPoP: a', 'credentials_malformed'],
    ['DPoP2 a', 'credentials_missing'],
  ])('[RFC9449-7.1-scheme] where the scheme is offered, %j: %s', (line, result) => {
    expect(read([line], null, true)).toBe(result)
  })

  test('no line at all is no credential', () => {
    expect(read([])).toBeNull()
  })

  test('a very long line is read like any other', () => {
    const long = 'a'.repeat(2 ** 17)
    expect(read([`Bearer ${long}`])).toBe(`token ${long}`)
    expect(read([`Bearer ${long}!`])).toBe('credentials_malformed')
    expect(read([`Bearer ${long.replaceAll('a', '=')}`])).toBe('credentials_malformed')
    expect(read([`Bearer a${long.replaceAll('a', '=')}b`])).toBe('credentials_malformed')
    expect(read([`Bearer${long.replaceAll('a', ' ')}`])).toBe('credentials_malformed')
    expect(read([long])).toBe('credentials_missing')
  })

  test.each([
    [['Bearer a', 'Bearer a']],
    [['Bearer a', 'Bearer b']],
    [['Bearer a', 'Basic b']],
    [['Basic a', 'Bearer b']],
    [['', 'Bearer b']],
    [['DPoP a', 'Bearer b']],
    [['Bearer a', 'Bearer b', 'Bearer c']],
  ])('[RFC6750-2-one-method] more than one line is ambiguous, whatever the lines say: %j', (lines) => {
    expect(read(lines)).toBe('request_ambiguous')
  })
})

describe('another source', () => {
  test.each([
    ['a.b.c', 'token a.b.c'],
    ['a=', 'token a='],
    [null, null],
    ['', 'credentials_malformed'],
    ['Bearer a.b.c', 'credentials_malformed'],
    ['a b', 'credentials_malformed'],
    ['a\n', 'credentials_malformed'],
    [undefined, 'credentials_malformed'],
    [0, 'credentials_malformed'],
    [false, 'credentials_malformed'],
    [['a.b.c'], 'credentials_malformed'],
    [{ toString: () => 'a.b.c' }, 'credentials_malformed'],
    [Promise.resolve('a.b.c'), 'credentials_malformed'],
  ])('[BEHALF-credentials-source] answers %j: %s', (answer, result) => {
    expect(read([], () => answer as string)).toBe(result)
  })

  test('[RFC6750-2-one-method] beside a header of any kind it is ambiguous', () => {
    for (const line of ['Bearer a', 'Basic a', 'DPoP a', '']) expect(read([line], () => 'b')).toBe('request_ambiguous')
    expect(read(['Bearer a'], () => '')).toBe('request_ambiguous')
    expect(read(['Bearer a'], () => null)).toBe('token a')
  })

  test('[BEHALF-credentials-source] an error in it is the application’s own, never an anonymous request', () => {
    const broken = new RangeError('no cookie jar')
    const from = () => {
      throw broken
    }
    expect(() => readCredentials(requestWith(), from, false)).toThrow(broken)
    expect(() => readCredentials(requestWith('Bearer a'), from, false)).toThrow(broken)
  })

  test('it is asked with the request, once', () => {
    const asked: RequestView[] = []
    const request = requestWith()
    readCredentials(
      request,
      (each) => {
        asked.push(each)
        return null
      },
      false,
    )
    expect(asked).toEqual([request])
  })
})
