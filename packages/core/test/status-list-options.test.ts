/** What `statusList` of an issuer may say. Whatever is wrong is a ConfigError that names it. */
import { ConfigError } from '@behalf/core'
import { expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '../src/limits.js'
import { resolveStatusList } from '../src/status-list/status-list-options.js'
import { KEY } from './support/key-apis.js'
import { keysOf } from './support/status-list-server.js'

const resolve = (value: unknown, issuer = 'https://as.example.test/tenant') =>
  resolveStatusList(value, 'issuers[0].statusList', {
    issuer,
    algorithms: new Set(['EdDSA']),
    keys: keysOf(KEY),
    fetch: () => Promise.reject(new Error('nothing is asked for')),
    now: Date.now,
    limits: DEFAULT_LIMITS,
    random: Math.random,
    toleranceSeconds: 5,
    screen: null,
  })

test.each<readonly [unknown, string]>([
  [true, 'https://as.example.test/1'],
  [{}, 'https://as.example.test/1'],
  [{ required: true, staleSeconds: 0 }, 'https://as.example.test/1'],
  [{ origins: ['https://a.example', 'http://localhost:8080'] }, 'http://localhost:8080/1'],
  [{ origins: ['https://[2001:db8::1]:8443'] }, 'https://[2001:db8::1]:8443/1'],
])('[BEHALF-status-list-options] %j is accepted', (value, uri) => {
  expect(resolve(value).reference({ status: { status_list: { idx: 0, uri } } })).toEqual({ uri, index: 0 })
})

test('[BEHALF-status-list-origins] an issuer that is no URL says where its lists may come from', () => {
  for (const issuer of ['P2abc', 'urn:as', 'http://as.example.test', 'https://as.example.test/#a']) {
    expect(() => resolve(true, issuer)).toThrow(ConfigError)
    expect(() => resolve({ required: true }, issuer)).toThrow(/^issuers\[0\]\.statusList needs origins/)
    const lists = resolve({ origins: ['https://as.example.test'] }, issuer)
    const uri = 'https://as.example.test/1'
    expect(lists.reference({ status: { status_list: { idx: 0, uri } } })).toEqual({ uri, index: 0 })
  }
})

test.each<readonly [string, unknown, RegExp]>([
  ['false', false, /statusList must be true or an object: leave it out where there are no lists$/],
  ['null', null, /must be true or an object/],
  ['text', 'https://as.example.test', /must be true or an object/],
  ['a list', [], /must be true or an object/],
  ['an unknown member', { uri: 'https://as.example.test' }, /unknown member "uri"/],
  ['an undefined member', { origins: undefined }, /origins is undefined/],
  ['required as text', { required: 'yes' }, /required must be true or false/],
  ['no origins', { origins: [] }, /origins must be a non-empty list/],
  ['one origin without a list', { origins: 'https://as.example.test' }, /origins must be a non-empty list/],
  ['an origin twice', { origins: ['https://a.example', 'https://a.example'] }, /twice/],
  ['plain http', { origins: ['http://a.example'] }, /origins\[0\] must be an https origin/],
  ['a path', { origins: ['https://a.example/lists'] }, /origins\[0\] must be an https origin/],
  ['a slash', { origins: ['https://a.example/'] }, /origins\[0\] must be an https origin/],
  ['capitals', { origins: ['https://A.example'] }, /origins\[0\] must be an https origin/],
  ['a default port', { origins: ['https://a.example:443'] }, /origins\[0\] must be an https origin/],
  ['credentials', { origins: ['https://a:b@a.example'] }, /origins\[0\] must be an https origin/],
  ['a host alone', { origins: ['a.example'] }, /origins\[0\] must be an https origin/],
  ['a wildcard', { origins: ['*'] }, /origins\[0\] must be an https origin/],
  ['the origin of files', { origins: ['null'] }, /origins\[0\] must be an https origin/],
  ['an origin that is no text', { origins: [1] }, /origins\[0\] must be a non-empty string/],
  ['negative seconds', { staleSeconds: -1 }, /staleSeconds must be a whole number, at least 0/],
  ['broken seconds', { staleSeconds: 0.5 }, /staleSeconds must be a whole number/],
  ['seconds without end', { staleSeconds: Number.POSITIVE_INFINITY }, /staleSeconds must be a whole number/],
])('[BEHALF-status-list-options] %s is a ConfigError', (_what, value, message) => {
  expect(() => resolve(value)).toThrow(ConfigError)
  expect(() => resolve(value)).toThrow(message)
})
