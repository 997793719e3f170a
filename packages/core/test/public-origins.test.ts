/** What clients call an API by: configured origins, among which a request only selects (RFC 9449 4.3). */
import { describe, expect, test } from 'vitest'
import { NO_PEERS, type PeerNetworks, peerNetworksAt } from '../src/binding/peer-networks.js'
import { PublicOrigins, publicOriginsAt } from '../src/binding/public-origins.js'
import { ConfigError } from '../src/errors.js'
import type { RequestView } from '../src/request-view.js'

const PROXY = '192.0.2.7'
const PROXIES = peerNetworksAt(['192.0.2.0/24'], 'trustedProxies')

/** A request as the origins look at it. */
function requestOf(headers: Readonly<Record<string, string>>, more: Partial<RequestView> = {}): RequestView {
  return {
    method: 'GET',
    wireMethod: 'GET',
    path: '/orders',
    url: '/orders?q=1',
    route: null,
    authorization: [],
    header: (name) => headers[name.toLowerCase()] ?? null,
    peer: '198.51.100.1',
    clientCertificate: null,
    raw: null,
    ...more,
  }
}

function originsOf(origins: string | readonly string[], proxies: PeerNetworks = NO_PEERS): PublicOrigins {
  return new PublicOrigins(publicOriginsAt(origins, 'publicOrigins'), proxies)
}

describe('one origin', () => {
  const origins = originsOf('https://api.example.com', PROXIES)

  test.each<[string, Readonly<Record<string, string>>, Partial<RequestView>]>([
    ['no Host', {}, {}],
    ['its own Host', { host: 'api.example.com' }, {}],
    ['an inner Host', { host: '10.0.0.1:8080' }, {}],
    ['a hostile Host', { host: 'evil.example' }, {}],
    ['a forwarded host', { 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example' }, { peer: PROXY }],
    ['an absolute target', { host: 'evil.example' }, { url: 'http://evil.example/orders?q=1' }],
    ['an authority of HTTP/2', { ':authority': 'evil.example' }, {}],
  ])('is the answer whatever the request says: %s', (_what, headers, more) => {
    expect(origins.targetOf(requestOf(headers, more))).toBe('https://api.example.com/orders')
  })

  test('the path is that of the request, in its normal form', () => {
    expect(origins.targetOf(requestOf({}, { path: '/%6Frders/' }))).toBe('https://api.example.com/orders/')
    expect(origins.targetOf(requestOf({}, { path: '/a/../%6Frders/' })), 'as it is routed').toBe(
      'https://api.example.com/a/../%6Frders/',
    )
    expect(origins.targetOf(requestOf({}, { path: '/' }))).toBe('https://api.example.com/')
    expect(origins.targetOf(requestOf({}, { path: '' })), 'no target at all').toBeNull()
    expect(origins.targetOf(requestOf({}, { path: '/%%411' })), 'no escape at all').toBeNull()
    expect(origins.targetOf(requestOf({}, { path: '//evil.example/orders' }))).toBe(
      'https://api.example.com//evil.example/orders',
    )
  })
})

describe('what stands in quotes', () => {
  test('is one value of Forwarded, commas and all', () => {
    const origins = originsOf(['https://api.example.com', 'https://eu.example.com'], PROXIES)
    const headers = { forwarded: 'for="a, host=api.example.com"', host: 'eu.example.com' }
    expect(origins.targetOf(requestOf(headers, { peer: PROXY, path: '/' }))).toBe('https://eu.example.com/')
    const several = { forwarded: 'for="a, host=x", for=b;host="api.example.com"' }
    expect(origins.targetOf(requestOf(several, { peer: PROXY, path: '/' }))).toBe('https://api.example.com/')
  })

  test.each([
    ['a quote that is left open', 'for=";host=eu.example.com;x=, for=1.2.3.4;host=api.example.com'],
    ['a quote within a value', 'for=a"b;host=eu.example.com, for=1.2.3.4;host=api.example.com'],
    ['text after a quote', 'for="a"b, for=1.2.3.4;host=api.example.com'],
    ['no pair at all', 'x, for=1.2.3.4;host=api.example.com'],
    ['two hosts in one element', 'for=1.2.3.4;host=eu.example.com;host=api.example.com'],
    ['long and wrong', `for="${'"'.repeat(20_000)}`],
    ['long and open', `for="${'\\'.repeat(20_000)}`],
    ['blanks', `for=a${' '.repeat(20_000)}x`],
  ])('what a client writes before its proxy selects nothing of its own: %s', (_what, forwarded) => {
    const origins = originsOf(['https://api.example.com', 'https://eu.example.com'], PROXIES)
    expect(origins.targetOf(requestOf({ forwarded, host: 'eu.example.com' }, { peer: PROXY, path: '/' }))).toBeNull()
  })

  test.each([
    ['quoted values before', 'for="_;host=eu.example.com";host=api.example.com'],
    ['an element before', 'host=eu.example.com, for="[2001:db8::1]:4711";host=api.example.com'],
    ['empty elements', ', host=eu.example.com,, host="api.example.com" , ,'],
    ['empty pairs', ';host=api.example.com;;for=1.2.3.4;'],
    ['escapes', 'host="api\\.example.com"'],
  ])('the last element is read to its end: %s', (_what, forwarded) => {
    const origins = originsOf(['https://api.example.com', 'https://eu.example.com'], PROXIES)
    expect(origins.targetOf(requestOf({ forwarded, host: 'eu.example.com' }, { peer: PROXY, path: '/' }))).toBe(
      'https://api.example.com/',
    )
  })
})

describe('several origins', () => {
  const ORIGINS = ['https://api.example.com', 'https://eu.example.com:8443', 'http://localhost:3000', 'https://[2001:db8::1]']
  const origins = originsOf(ORIGINS, PROXIES)
  const originFor = (headers: Readonly<Record<string, string>>, more?: Partial<RequestView>) =>
    origins.targetOf(requestOf(headers, more))?.replace(/\/orders$/, '') ?? null

  test.each([
    ['api.example.com', 'https://api.example.com'],
    ['API.Example.COM', 'https://api.example.com'],
    ['api.example.com:443', 'https://api.example.com'],
    ['eu.example.com:8443', 'https://eu.example.com:8443'],
    ['localhost:3000', 'http://localhost:3000'],
    ['[2001:db8::1]', 'https://[2001:db8::1]'],
    ['[2001:db8:0:0::1]:443', 'https://[2001:db8::1]'],
    ['', null],
    ['eu.example.com', null],
    ['eu.example.com:443', null],
    ['api.example.com:80', null],
    ['api.example.com.', null],
    ['localhost', null],
    ['evil.example', null],
    ['api.example.com@evil.example', null],
    ['evil.example@api.example.com', null],
    ['evil.example/api.example.com', null],
    ['api.example.com/', null],
    ['api.example.com#', null],
    ['api.example.com, api.example.com', null],
    ['constructor', null],
  ])('are selected by Host: %j says %j', (host, origin) => {
    expect(originFor({ host })).toBe(origin)
  })

  test('none is selected where nothing says which', () => {
    expect(originFor({})).toBeNull()
  })

  test('an absolute target comes before Host, and :authority too', () => {
    const host = 'eu.example.com:8443'
    expect(originFor({ host }, { url: 'http://api.example.com/orders' })).toBe('https://api.example.com')
    expect(originFor({ host }, { url: 'HTTPS://API.example.com:443/orders' })).toBe('https://api.example.com')
    expect(originFor({ host }, { url: 'http://evil.example/orders' })).toBeNull()
    expect(originFor({ host }, { url: 'http://api.example.com@evil.example/orders' })).toBeNull()
    expect(originFor({ host, ':authority': 'api.example.com' })).toBe('https://api.example.com')
    expect(originFor({ host, ':authority': 'evil.example' })).toBeNull()
    expect(originFor({ host }, { url: '/http://api.example.com/orders' })).toBe('https://eu.example.com:8443')
  })

  test.each([
    [{ 'x-forwarded-host': 'api.example.com' }, 'https://api.example.com'],
    [{ 'x-forwarded-host': 'evil.example, api.example.com' }, 'https://api.example.com'],
    [{ 'x-forwarded-host': 'api.example.com, evil.example' }, null],
    [{ forwarded: 'host=api.example.com' }, 'https://api.example.com'],
    [{ forwarded: 'for=192.0.2.60;proto=https;host=api.example.com;by=203.0.113.43' }, 'https://api.example.com'],
    [{ forwarded: 'for=192.0.2.60; Host="api.example.com:443"' }, 'https://api.example.com'],
    [{ forwarded: 'HOST=eu.example.com:8443' }, 'https://eu.example.com:8443'],
    [{ forwarded: 'host="[2001:db8::1]"' }, 'https://[2001:db8::1]'],
    [{ forwarded: 'host=evil.example, for=1.2.3.4;host=api.example.com' }, 'https://api.example.com'],
    [{ forwarded: 'host=api.example.com, host=evil.example' }, null],
    [{ forwarded: 'xhost=api.example.com' }, 'https://eu.example.com:8443'],
    [{ forwarded: 'for=1.2.3.4' }, 'https://eu.example.com:8443'],
    [{ forwarded: 'host=api.example.com', 'x-forwarded-host': 'evil.example' }, null],
    [{ forwarded: 'host=api.example.com', 'x-forwarded-host': 'API.example.com' }, 'https://api.example.com'],
    [{ forwarded: 'for=1.2.3.4', 'x-forwarded-host': 'api.example.com' }, 'https://api.example.com'],
  ])('%j of a trusted proxy selects %j, and of anybody else nothing', (forwarded, origin) => {
    const headers = { host: 'eu.example.com:8443', ...forwarded }
    expect(originFor(headers, { peer: PROXY })).toBe(origin)
    for (const peer of ['198.51.100.1', null]) expect(originFor(headers, { peer })).toBe('https://eu.example.com:8443')
  })
})

describe('what is configured', () => {
  const read = (value: unknown) => publicOriginsAt(value, 'publicOrigins')

  test.each([
    ['https://api.example.com', 'https://api.example.com'],
    ['https://api.example.com/', 'https://api.example.com'],
    ['HTTPS://API.Example.com:443', 'https://api.example.com'],
    ['https://api.example.com:8443', 'https://api.example.com:8443'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['https://[2001:DB8:0::1]', 'https://[2001:db8::1]'],
    ['http://localhost:3000', 'http://localhost:3000'],
    ['http://127.0.0.1', 'http://127.0.0.1'],
    ['http://[::1]:8080', 'http://[::1]:8080'],
  ])('%s is read as %s', (text, origin) => {
    expect(read(text)).toEqual([origin])
    expect(read([text])).toEqual([origin])
  })

  test.each([
    ['nothing', undefined],
    ['an empty text', ''],
    ['an empty list', []],
    ['a number', 443],
    ['a URL object', new URL('https://api.example.com')],
    ['no scheme', 'api.example.com'],
    ['plain http to another machine', 'http://api.example.com'],
    ['plain http to what only begins like this machine', 'http://localhost.example.com'],
    ['another scheme', 'ws://api.example.com'],
    ['a path', 'https://api.example.com/v1'],
    ['two slashes', 'https://api.example.com//'],
    ['a query', 'https://api.example.com?q'],
    ['a fragment', 'https://api.example.com#f'],
    ['a user', 'https://user@api.example.com'],
    ['a user and a secret', 'https://user:secret@api.example.com'],
    ['a pattern', 'https://*.example.com/'],
    ['a backslash', 'https://api.example.com\\'],
    ['no host', 'https://'],
    ['a port out of range', 'https://api.example.com:65536'],
    ['a space', 'https://api.example.com '],
    ['the word null', 'null'],
    ['a list with one that is none', ['https://api.example.com', 'x']],
  ])('is refused: %s', (_what, value) => {
    expect(() => read(value)).toThrow(ConfigError)
    expect(() => read(value)).toThrow(/^publicOrigins/)
  })

  test.each([
    [['https://api.example.com', 'https://api.example.com']],
    [['https://api.example.com', 'https://API.example.com:443/']],
    [['http://localhost:3000', 'https://localhost:3000']],
  ])('names no host twice: %j', (value) => {
    expect(() => read(value)).toThrow(ConfigError)
  })
})

describe('trusted proxies', () => {
  const includes = (networks: readonly string[], peer: string | null) => peerNetworksAt(networks, 'trustedProxies').includes(peer)

  test.each([
    [['192.0.2.7'], '192.0.2.7', true],
    [['192.0.2.7'], '192.0.2.8', false],
    [['192.0.2.7/32'], '192.0.2.7', true],
    [['192.0.2.0/24'], '192.0.2.0', true],
    [['192.0.2.0/24'], '192.0.2.255', true],
    [['192.0.2.0/24'], '192.0.3.0', false],
    [['192.0.2.0/24'], '192.0.1.255', false],
    [['192.0.2.0/24', '10.0.0.0/8'], '10.255.0.1', true],
    [['192.0.2.0/24'], '::ffff:192.0.2.7', true], // how Node shows IPv4 on a socket of IPv6
    [['192.0.2.0/24'], '::ffff:c000:207', true],
    [['192.0.2.0/24'], '::ffff:192.0.3.7', false],
    [['fd00::/8'], 'fd12:3456::1', true],
    [['fd00::/8'], 'fe00::1', false],
    [['fe80::/10'], 'fe80::1%eth0', true],
    [['::1'], '::1', true],
    [['::1'], '127.0.0.1', false],
    [['192.0.2.0/24'], null, false],
    [['192.0.2.0/24'], '', false],
    [['192.0.2.0/24'], 'localhost', false],
    [['192.0.2.0/24'], '192.0.2.7, 10.0.0.1', false],
  ])('%j have %j among them: %s', (networks, peer, included) => {
    expect(includes(networks, peer)).toBe(included)
  })

  test('nobody is one where none is named', () => {
    for (const peer of ['127.0.0.1', '::1', '', null]) expect(NO_PEERS.includes(peer)).toBe(false)
  })

  test.each([
    ['nothing', undefined],
    ['a text', '10.0.0.0/8'],
    ['an empty list', []],
    ['a name', ['proxy.example.com']],
    ['true', [true]],
    ['everybody', ['0.0.0.0/0']],
    ['everybody of IPv6', ['::/0']],
    ['too many bits', ['10.0.0.0/33']],
    ['too many bits of IPv6', ['fd00::/129']],
    ['bits that are no number', ['10.0.0.0/x']],
    ['no bits after the slash', ['10.0.0.0/']],
    ['a mask', ['10.0.0.0/255.0.0.0']],
    ['two slashes', ['10.0.0.0/8/8']],
    ['a short address', ['10.1']],
    ['a port', ['10.0.0.1:80']],
    ['an interface', ['fe80::1%eth0']],
    ['brackets', ['[::1]']],
    ['the same twice', ['10.0.0.1', '10.0.0.1']],
  ])('are refused: %s', (_what, value) => {
    expect(() => peerNetworksAt(value, 'trustedProxies')).toThrow(ConfigError)
    expect(() => peerNetworksAt(value, 'trustedProxies')).toThrow(/^trustedProxies/)
  })
})
