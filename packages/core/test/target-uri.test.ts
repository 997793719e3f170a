/** URIs as proofs name them and as servers know them: RFC 9449 4.3, RFC 3986 6.2.2 and 6.2.3. */
import { describe, expect, test } from 'vitest'
import { normalizeOrigin, normalizePath, normalizeTargetUri } from '../src/binding/target-uri.js'

describe('a target URI that is none', () => {
  test.each([
    ['nothing', ''],
    ['a path', '/orders'],
    ['a host without a scheme', 'api.example.com/orders'],
    ['a network path', '//api.example.com/orders'],
    ['another scheme', 'ftp://api.example.com/orders'],
    ['a scheme that only begins alike', 'httpsx://api.example.com/orders'],
    ['one slash', 'https:/api.example.com/orders'],
    ['three slashes', 'https:///api.example.com/orders'],
    ['no host', 'https://'],
    ['no host but a port', 'https://:443/orders'],
    ['no host but a query', 'https://?host'],
    ['a space before it', ' https://api.example.com/orders'],
    ['a space after it', 'https://api.example.com/orders '],
    ['a space inside', 'https://api.example.com/or ders'],
    ['a tab', 'https://api.example.com/\torders'],
    ['a line feed, which a URL parser takes away', 'https://api.exam\nple.com/orders'],
    ['a zero byte', 'https://api.example.com/\0'],
    ['a backslash, which a URL parser takes for a slash', 'https://api.example.com\\orders'],
    ['angle brackets', '<https://api.example.com/orders>'],
    ['quotes', 'https://api.example.com/"'],
    ['a host in another script', 'https://bücher.example/orders'],
    ['a path in another script', 'https://api.example.com/bücher'],
    ['a full-width letter, which a URL parser takes for a plain one', 'https://api.example.ｃom/orders'],
    ['a host that decodes to another script', 'https://b%C3%BCcher.example/orders'],
    ['a port out of range', 'https://api.example.com:65536/orders'],
    ['a port that is no number', 'https://api.example.com:https/orders'],
    ['two ports', 'https://api.example.com:443:443/orders'],
    ['an address of IPv6 without brackets', 'https://::1/orders'],
    ['an address of IPv6 that is none', 'https://[::1::]/orders'],
    ['an address in brackets that do not end', 'https://[::1/orders'],
    ['an address of IPv6 with an interface', 'https://[fe80::1%25eth0]/orders'],
    ['an address of IPv4 that is none', 'https://256.0.0.1/orders'],
    ['an address of IPv4 in a short form, which a URL parser completes', 'https://127.1/orders'],
    ['an address of IPv4 in octal', 'https://0177.0.0.1/orders'],
    ['an address of IPv4 in hexadecimal', 'https://0x7f.0.0.1/orders'],
    ['an address of IPv4 as one number', 'https://2130706433/orders'],
  ])('is refused: %s', (_what, uri) => {
    expect(normalizeTargetUri(uri)).toBeNull()
  })

  // What stands before `@` is a user, and what follows it is the host: such a URI is another host's (RFC 3986 3.2.1).
  test.each([
    'https://api.example.com@evil.example/orders',
    'https://api.example.com:443@evil.example/orders',
    'https://api.example.com:@evil.example/orders',
    'https://api.example.com:secret@evil.example/orders',
    'https://user@api.example.com/orders',
    'https://@api.example.com/orders',
    'https://api.example.com@',
    'https://api.example.com@?orders',
  ])('is refused where it names a user: %s', (uri) => {
    expect(normalizeTargetUri(uri)).toBeNull()
  })
})

describe('the normal form', () => {
  const NORMAL = 'https://api.example.com/orders'

  test.each([
    NORMAL,
    'HTTPS://API.Example.COM/orders',
    'https://api.example.com:443/orders',
    'https://api.example.com:/orders',
    'https://api.example.com:0443/orders',
    'https://%61pi.example.com/orders',
    'https://api.example.com/%6Frders',
    'https://api.example.com/%6frders',
    'https://api.example.com/./orders',
    'https://api.example.com/a/../orders',
    'https://api.example.com/../orders',
    'https://api.example.com/%2e/%2E%2e/orders',
    'https://api.example.com/orders?q=1',
    'https://api.example.com/orders?',
    'https://api.example.com/orders#part',
    'https://api.example.com/orders?q=1#part',
    'https://api.example.com/orders#part?q=/..',
    'https://api.example.com/orders?q=https://other.example/..',
  ])('is one for what is the same URI: %s', (uri) => {
    expect(normalizeTargetUri(uri)).toBe(NORMAL)
  })

  test.each([
    ['another scheme', 'http://api.example.com/orders'],
    ['another port', 'https://api.example.com:8443/orders'],
    ['the default port of another scheme', 'https://api.example.com:80/orders'],
    ['another host', 'https://api.example.com.evil.example/orders'],
    ['the host with a dot at its end', 'https://api.example.com./orders'],
    ['another path', 'https://api.example.com/orders2'],
    ['a slash more', 'https://api.example.com/orders/'],
    ['a slash more before', 'https://api.example.com//orders'],
    ['the path in another case', 'https://api.example.com/Orders'],
    ['an escaped slash', 'https://api.example.com/%2Forders'],
    ['a parameter of the path', 'https://api.example.com/orders;v=1'],
    ['an escaped question mark', 'https://api.example.com/orders%3Fq=1'],
    ['an escape of an escape', 'https://api.example.com/%256Frders'],
  ])('is another one for %s', (_what, uri) => {
    const normal = normalizeTargetUri(uri)
    expect(normal).not.toBeNull()
    expect(normal).not.toBe(NORMAL)
  })

  test.each([
    ['https://api.example.com', 'https://api.example.com/'],
    ['https://api.example.com?q', 'https://api.example.com/'],
    ['https://api.example.com#part', 'https://api.example.com/'],
    ['http://localhost:80', 'http://localhost/'],
    ['http://localhost:443', 'http://localhost:443/'],
    ['https://127.0.0.1:8443/a', 'https://127.0.0.1:8443/a'],
    ['https://xn--bcher-kva.example/a', 'https://xn--bcher-kva.example/a'],
    ['https://XN--BCHER-KVA.example/a', 'https://xn--bcher-kva.example/a'],
    ['https://[::1]:443/a', 'https://[::1]/a'],
    ['https://[0:0:0:0:0:0:0:1]/a', 'https://[::1]/a'],
    ['https://[2001:DB8::0001]/a', 'https://[2001:db8::1]/a'],
    ['https://[::ffff:192.0.2.1]/a', 'https://[::ffff:c000:201]/a'],
  ])('of %s is %s', (uri, normal) => {
    expect(normalizeTargetUri(uri)).toBe(normal)
    expect(normalizeTargetUri(normal)).toBe(normal)
  })
})

describe('a path', () => {
  test.each([
    ['', '/'],
    ['/', '/'],
    ['/a', '/a'],
    ['/a/', '/a/'],
    ['//a', '//a'],
    ['/a//b', '/a//b'],
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/b/../../c', '/c'],
    ['/a//../b', '/a/b'],
    ['/..', '/'],
    ['/../..', '/'],
    ['/.', '/'],
    ['/a/.', '/a/'],
    ['/a/..', '/'],
    ['/a/b/..', '/a/'],
    ['/a/b/.', '/a/b/'],
    ['/...', '/...'],
    ['/.a/..b', '/.a/..b'],
    // The example of RFC 3986 5.2.4.
    ['/a/b/c/./../../g', '/a/g'],
    ['/a%2fb', '/a%2Fb'],
    ['/%7ea', '/~a'],
    ['/%41%5A%61%7A%30%39%2D%2E%5F%7E', '/AZaz09-._~'],
    ['/%e4%bd%a0', '/%E4%BD%A0'],
    ['/%', '/%'],
    ['/%4', '/%4'],
    ['/%zz', '/%zz'],
    ['/%2541', '/%2541'],
    ['/a+b', '/a+b'],
    ['/a%20b', '/a%20b'],
  ])('%j is compared as %j', (path, normal) => {
    expect(normalizePath(path)).toBe(normal)
    expect(normalizePath(normal)).toBe(normal)
  })
})

describe('an origin', () => {
  test.each([
    ['https', 'api.example.com', 'https://api.example.com'],
    ['HTTPS', 'API.example.com:443', 'https://api.example.com'],
    ['http', 'localhost:80', 'http://localhost'],
    ['http', 'localhost:8080', 'http://localhost:8080'],
    ['https', '[::1]:8443', 'https://[::1]:8443'],
    ['https', 'user@api.example.com', null],
    ['https', 'user:443@api.example.com', null],
    ['https', 'api.example.com/path', null],
    ['https', 'api.example.com?q', null],
    ['https', 'api.example.com#f', null],
    ['https', '127.1', null],
    ['https', '', null],
    ['https', ':443', null],
    ['https', 'a b', null],
  ])('%s and %j are %j', (scheme, authority, origin) => {
    expect(normalizeOrigin(scheme, authority)).toBe(origin)
  })
})
