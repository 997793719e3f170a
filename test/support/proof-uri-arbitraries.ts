/** Hostile methods, URIs, request targets and hosts (RFC 3986, RFC 9112). */
import fc from 'fast-check'
import { changeClaim, rewrite, setClaim, twist, ways } from './proof-changes.js'
import type { Members, Twist } from './proof-draft.js'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY']
const METHOD_TEXTS = [...METHODS, 'get', 'Get', 'GET ', ' GET', 'GET,POST', '*', '', 'G\u0415T', 'GET\0', 'CONNECT']

export const methods: fc.Arbitrary<Twist> = fc.oneof(
  fc.constantFrom(...METHOD_TEXTS).map((text) => setClaim('htm', JSON.stringify(text))),
  fc.constantFrom(...METHODS, 'get', 'Post').map((method) => twist(`request ${method}`, (draft) => ({ ...draft, method }))),
  fc
    .constantFrom(...METHODS)
    .map((method) => twist(`${method} in both`, (draft) => setClaim('htm', JSON.stringify(method)).apply({ ...draft, method }))),
  fc.constant(changeClaim('in lower case', 'htm', (method) => method.toLowerCase())),
)

/** The same host in another spelling: case, and percent-encoding (RFC 3986 6.2.2). */
function respellHost(host: string, how: readonly number[]): string {
  if (host.startsWith('[')) return how.includes(1) ? host.toUpperCase() : host
  return rewrite(host, how, (character, way) => {
    if (way === 1) return character.toUpperCase()
    return way === 2 || way === 3 ? percentEncoded(character, way === 3) : character
  })
}

function percentEncoded(character: string, upperCase: boolean): string {
  const hex = character.charCodeAt(0).toString(16).padStart(2, '0')
  return `%${upperCase ? hex.toUpperCase() : hex}`
}

const AUTHORITY = /^([^:]*):\/\/(\[[^\]]*\]|[^:/]*)(:\d*)?/

/** Changes scheme, host and port of `htu`. */
export function changeOrigin(name: string, change: (scheme: string, host: string, port: string) => string): Twist {
  return changeClaim(name, 'htu', (htu) =>
    htu.replace(AUTHORITY, (_all, scheme: string, host: string, port: string = '') => change(scheme, host, port)),
  )
}

const HOSTS = [
  ...[
    'api.example.com.evil.test',
    'api.example.com@evil.test',
    'evil.test',
    'evil.test\\@api.example.com',
    'user@api.example.com',
  ],
  ...[
    'user:secret@api.example.com',
    '@api.example.com',
    ':@api.example.com',
    'api.example.com.',
    'api.example.com..',
    '.api.example.com',
  ],
  ...[
    'api.example.com%2eevil.test',
    'api.example.com%2f@evil.test',
    'api.example.com%00',
    'api.example.com%ad',
    'api%C2%ADexample.com',
  ],
  ...[
    'api.example.com%C2%AD',
    'ap\u0131.example.com',
    '\uff41pi.example.com',
    'api\u3002example.com',
    'api.ex\u00adample.com',
    'xn--api.example.com',
  ],
  ...[
    'api.example.com\\',
    'api.example.com\\.evil.test',
    'api.example.com\t',
    'api.\texample.com',
    ' api.example.com',
    'api.example.com ',
  ],
  ...[
    'api.example.com,evil.test',
    'api.example.com;evil',
    "api.example.com'",
    'api.example.com"',
    'api.example.com<',
    'api_example.com',
  ],
  ...[
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f.0.0.1',
    '0177.0.0.1',
    '127.0.0.1.',
    '0127.0.0.1',
    'localhost',
    '127.0.0.2',
    '[::ffff:127.0.0.1]',
  ],
  ...[
    '[2001:db8::1]',
    '[2001:DB8::1]',
    '[2001:db8:0:0:0:0:0:1]',
    '[2001:0db8::0001]',
    '[2001:db8::0.0.0.1]',
    '[2001:db8::1%25eth0]',
  ],
  ...['[2001:db8::2]', '2001:db8::1', '[]', '[v1.x]', '[2001:db8::1', '[2001:db8:::1]', '[1:2:3:4:5:6:7:8:9]'],
  ...[
    'b\u00fccher.example',
    'xn--bcher-kva.example',
    'XN--BCHER-KVA.EXAMPLE',
    'b%C3%BCcher.example',
    'bucher.example',
    'bu\u0308cher.example',
  ],
  '',
]
const PORTS = [
  '',
  ':',
  ':443',
  ':0443',
  ':80',
  ':8443',
  ':3000',
  ':444',
  ':08443',
  ':65536',
  ':99999',
  ':-1',
  ':+443',
  ':443:443',
  ':x',
  ': 443',
  ':4\u0664',
  ':0',
]
const SCHEMES = ['https', 'HTTPS', 'Https', 'http', 'wss', 'ftp', 'https:', '', 'javascript', 'ht\ntps', ' https', 'blob:https']

export const origins: fc.Arbitrary<Twist> = fc.oneof(
  {
    weight: 3,
    arbitrary: ways.map((how) =>
      changeOrigin('host respelled', (scheme, host, port) => `${scheme}://${respellHost(host, how)}${port}`),
    ),
  },
  fc
    .constantFrom(...SCHEMES)
    .map((scheme) => changeOrigin(`scheme ${scheme}`, (_scheme, host, port) => `${scheme}://${host}${port}`)),
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(...HOSTS)
      .map((host) => changeOrigin(`host ${host}`, (scheme, _host, port) => `${scheme}://${host}${port}`)),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(...PORTS)
      .map((port) => changeOrigin(`port ${port}`, (scheme, host) => `${scheme}://${host}${port}`)),
  },
  fc
    .tuple(fc.constantFrom(...SCHEMES.slice(0, 4)), fc.constantFrom(...HOSTS), fc.constantFrom(...PORTS))
    .map(([scheme, host, port]) => changeOrigin('another', () => `${scheme}://${host}${port}`)),
  fc
    .constantFrom(
      'https:/api.example.com',
      'https:api.example.com',
      '//api.example.com',
      'api.example.com',
      '/',
      '',
      'https:///api.example.com',
      'https:\\\\api.example.com',
      'about:blank',
    )
    .map((text) => changeOrigin(text, () => text)),
)

/** Segments of paths, by the grammar and beyond it. */
const SEGMENTS = [
  ...[
    '',
    '.',
    '..',
    '...',
    'a',
    'b',
    'orders',
    '%2e',
    '%2E',
    '%2e%2e',
    '.%2E',
    '%2F',
    '%2f',
    '~',
    '%7e',
    '%7E',
    '%61',
    '%41',
    'a;b=1',
  ],
  ...[
    'caf%C3%A9',
    'caf%c3%a9',
    "a'b",
    'a%27b',
    'a:b',
    '@',
    '+',
    '%2B',
    '*',
    '%00',
    '%25',
    '%252e',
    '%5C',
    '%20',
    'a=b&c',
    '$',
    '(x)',
    '!',
  ],
]
const BROKEN_SEGMENTS = [
  '%',
  '%2',
  '%zz',
  '%%41',
  '%%411',
  '%%34%31',
  '%2%65',
  '%%32e',
  '{b}',
  '|',
  '^',
  '`',
  'caf\u00e9',
  '\\',
  '..\\..',
  'a b',
  '"',
  '<',
  '\u0001',
  '\t',
  '[',
  ']',
]

const pathOf = (segments: fc.Arbitrary<string>) =>
  fc.array(segments, { maxLength: 4 }).map((list) => list.map((each) => `/${each}`).join(''))
/** Texts that must not become the same: one is no URI, and must not be made one. */
const CONFUSED = [
  ...[
    ['/%%411', '/%A1'],
    ['/%2%35', '/%25'],
    ['/%%34%31', '/%41'],
    ['/%%32e%%32e/a', '/../a'],
    ['/%2%65/a', '/a'],
    ['/a%5cb', '/a/b'],
  ],
  ...[
    ['/a\\b', '/a/b'],
    ['/caf\u00e9', '/caf%C3%A9'],
    ['/caf\u00e9', '/caf%E9'],
    ['/{b}', '/%7Bb%7D'],
    ['/a|b', '/a%7Cb'],
    ['/a+b', '/a%20b'],
  ],
  ...[
    ['/a%2fb', '/a/b'],
    ['/a%252fb', '/a%2fb'],
    ['/a;x/b', '/a/b'],
    ['/A', '/a'],
    ['/a/', '/a'],
    ['//a', '/a'],
    ['/a//b', '/a/b'],
    ['/%00', '/'],
  ],
] as const

const validPath = pathOf(fc.constantFrom(...SEGMENTS))
const anyPath = pathOf(fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...SEGMENTS) }, fc.constantFrom(...BROKEN_SEGMENTS)))
const smallPath = pathOf(fc.constantFrom('', '.', '..', 'a', '%2e', '%61', 'A'))
const brokenPath = pathOf(
  fc.constantFrom('a', '%', '%2', '%%41', '%A', '%%411', '%A1', '%a1', '%25', '%2%35', '{b}', '%7Bb%7D', '\\', 'b'),
)

/** The same path in another spelling: percent-encoding and dot segments (RFC 3986 6.2.2.2, 6.2.2.3). */
function respellPath(path: string, how: readonly number[]): string {
  const escapes = rewrite(
    path.replace(/%[0-9a-f]{2}/gi, (each) => ((how[0] ?? 0) > 4 ? each.toLowerCase() : each.toUpperCase())),
    how,
    (character, way) =>
      /[a-z~_-]/i.test(character) && (way === 2 || way === 3) && !path.includes('%')
        ? percentEncoded(character, way === 3)
        : character,
  )
  const dots = ['', '/.', '/x/..', '/%2e', '/x/%2E%2e', '/./y/..', '/..'][how[1] ?? 0] ?? ''
  return dots === '/..' ? `${dots}${escapes}` : `${dots}${escapes || '/'}`
}

/** A request to a path, and a proof for the same or another one. */
export function toPath(name: string, target: string, htuPath: string): Twist {
  return twist(`${name}: ${target} with ${htuPath}`, (draft) =>
    changeClaim('path', 'htu', (htu) => (AUTHORITY.exec(htu)?.[0] ?? '') + htuPath).apply({
      ...draft,
      target: target === '' ? '/' : target,
    }),
  )
}

const TAILS = [
  '',
  '',
  '?',
  '?q=1',
  '?a/../b',
  '#',
  '#f',
  '?q#f',
  '#f?q',
  '?%',
  '?{}',
  '#\u00e9',
  '? ',
  '?\\',
  '?q="',
  '?\t',
  '#\n',
]

export const paths: fc.Arbitrary<Twist> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(validPath, ways).map(([path, how]) => toPath('respelled', path, respellPath(path, how))) },
  { weight: 2, arbitrary: fc.tuple(smallPath, smallPath).map(([path, other]) => toPath('two', path, other)) },
  fc.tuple(anyPath, anyPath).map(([path, other]) => toPath('any two', path, other)),
  fc.tuple(brokenPath, brokenPath).map(([path, other]) => toPath('broken two', path, other)),
  fc
    .tuple(fc.constantFrom(...CONFUSED), fc.boolean())
    .map(([[one, other], swap]) => (swap ? toPath('confused', one, other) : toPath('confused', other, one))),
  anyPath.map((path) => toPath('one', path, path)),
  fc
    .tuple(validPath, fc.constantFrom(...TAILS.slice(0, 5)), fc.constantFrom(...TAILS))
    .map(([path, query, tail]) => toPath('with a query', `${path || '/'}${query.startsWith('#') ? '' : query}`, path + tail)),
  fc
    .constantFrom('', '/', '//', '/.', '?', '#', '*', '/*')
    .map((path) =>
      twist(`OPTIONS * with ${path}`, (draft) =>
        setClaim('htm', '"OPTIONS"').apply({ ...toPath('all', '*', path).apply(draft), method: 'OPTIONS' }),
      ),
    ),
)

const ABSOLUTE_ORIGINS = [
  ...[
    'http://evil.test',
    'https://api.example.com:8443',
    'HTTP://api.example.com',
    'http://127.0.0.1:3000',
    'http://x',
    'ftp://x',
  ],
  ...[
    'http://api.example.com:99999',
    'http://api.example.com:65536',
    'http://',
    'https://',
    'http://1.2.3.4.5',
    'http://256.1.1.1',
    'http://%',
  ],
  ...[
    'http://user@api.example.com',
    'http://a%00',
    'http://[',
    'http://[::1',
    'http://xn--',
    'http://a_b',
    'http:///',
    'http://\\',
    'http:',
  ],
]

/** Requests in absolute-form (RFC 9112 3.2.2), by proxies and by strangers. */
export const absolute: fc.Arbitrary<Twist> = fc
  .record({
    origin: fc.option(fc.constantFrom(...ABSOLUTE_ORIGINS), { freq: 2 }),
    path: fc.oneof(validPath, validPath, anyPath),
    how: ways,
    claimed: fc.constantFrom<(path: string, how: readonly number[]) => string>(
      respellPath,
      respellPath,
      respellPath,
      () => '/',
      (path) => path.slice(path.indexOf('/', 1)),
      (path) => path.slice(path.lastIndexOf('/')),
      (path) => path.replaceAll('\\', '/'),
    ),
    query: fc.constantFrom('', '?q', '?q=/../'),
    host: fc.constantFrom(undefined, 'evil.test', 'api.example.com'),
  })
  .map(({ origin, path, how, claimed, query, host }) =>
    twist(`absolute ${origin} ${path}`, (draft) => {
      const own = `https://${draft.host}`
      const twisted = toPath('absolute', `${origin ?? own}${path}${query}`, claimed(path, how)).apply(draft)
      return host === undefined ? twisted : { ...twisted, host }
    }),
  )

const HOST_FIELDS = [
  ...[
    'api.example.com',
    'API.EXAMPLE.COM',
    'api.example.com:443',
    'api.example.com:',
    'api.example.com:8443',
    'api.example.com:80',
    'evil.test',
  ],
  ...[
    'api.example.com.',
    'user@api.example.com',
    'api.example.com/x',
    'api.example.com,evil.test',
    '127.0.0.1:3000',
    '127.1:3000',
    '2130706433:3000',
  ],
  ...[
    '[2001:db8::1]:444',
    '[2001:DB8:0::1]:444',
    '[2001:db8::1]',
    'xn--bcher-kva.example',
    'XN--bcher-kva.example:443',
    'b\u00fccher.example',
    'api%2eexample.com',
    '',
  ],
]
const PEERS = ['192.0.2.1', '10.1.2.3', '::ffff:10.1.2.3', 'fd00::7', '11.0.0.1', '::1']

/** What requests say about their host: by clients, by proxies, and by strangers who play one. */
export const hosts: fc.Arbitrary<Twist> = fc
  .record({
    host: fc.option(fc.constantFrom(...HOST_FIELDS), { freq: 2 }),
    forwarded: fc.constantFrom<(host: string) => Members>(
      () => [],
      (host) => [['x-forwarded-host', host]],
      (host) => [['x-forwarded-host', `evil.test, ${host}`]],
      (host) => [['forwarded', `for=192.0.2.60;proto=https;host="${host}"`]],
      (host) => [['forwarded', `host=evil.test, for=10.0.0.1; Host="${host}"`]],
      (host) => [
        ['forwarded', `host="${host}"`],
        ['x-forwarded-host', 'evil.test'],
      ],
      (host) => [
        ['x-forwarded-proto', 'http'],
        ['x-forwarded-port', '80'],
        ['x-original-url', '/admin'],
        ['x-forwarded-prefix', host],
      ],
    ),
    word: fc.constantFrom(...HOST_FIELDS.filter((host) => !/[,"]/.test(host) && host !== '')),
    peer: fc.constantFrom(...PEERS),
  })
  .map(({ host, forwarded, word, peer }) =>
    twist(`host ${host}, ${JSON.stringify(forwarded(word))} from ${peer}`, (draft) => ({
      ...draft,
      ...(host !== null && { host }),
      forwarded: forwarded(word),
      peer,
    })),
  )
