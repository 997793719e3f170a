/** Whose word about a request is taken: proxies by their addresses, and the origins that clients call. */
import { BlockList } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FUZZ_FACTOR, FUZZ_SEED, FUZZ_TIMEOUT } from '../../../test/support/fuzz-settings.js'
import { NO_PEERS, peerNetworksAt } from '../src/binding/peer-networks.js'
import { ConfigError } from '../src/errors.js'
import { oauth } from '../src/issuers/index.js'
import { createResourceServer } from '../src/resource-server.js'

const includes = (networks: readonly string[], peer: string | null) => peerNetworksAt(networks, 'trustedProxies').includes(peer)

describe('a list of proxies', () => {
  test.each<[readonly string[], readonly string[], readonly (string | null)[]]>([
    [
      ['10.0.0.7'],
      ['10.0.0.7', '::ffff:10.0.0.7', '::ffff:a00:7', '::FFFF:10.0.0.7'],
      ['10.0.0.8', '10.0.0.6', '::ffff:10.0.0.8', '::10.0.0.7'],
    ],
    [['10.0.0.7/32'], ['10.0.0.7'], ['10.0.0.8', '10.0.0.6']],
    [
      ['10.0.0.0/8'],
      ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3'],
      ['9.255.255.255', '11.0.0.0', '::ffff:11.0.0.0', '::a00:1'],
    ],
    [['10.1.2.3/8'], ['10.255.255.255'], ['11.1.2.3']],
    [['192.168.4.0/22'], ['192.168.4.0', '192.168.7.255'], ['192.168.3.255', '192.168.8.0']],
    [['127.0.0.0/8'], ['127.0.0.1', '127.255.255.254', '::ffff:127.0.0.1'], ['126.255.255.255', '128.0.0.0', '::1']],
    [['0.0.0.0/1'], ['127.255.255.255'], ['128.0.0.0']],
    [['::1'], ['::1', '0:0:0:0:0:0:0:1'], ['127.0.0.1', '::ffff:127.0.0.1', '::2', '::']],
    [['fd00::/8'], ['fd00::1', 'fdff:ffff::'], ['fc00::1', 'fe00::', '10.0.0.1', '::ffff:253.0.0.1']],
    [['2001:db8::/33'], ['2001:db8:7fff::'], ['2001:db8:8000::', '2001:db9::']],
    [['2001:db8::7/128'], ['2001:db8::7'], ['2001:db8::8']],
    [['fe80::/10'], ['fe80::1', 'fe80::1%eth0', 'febf::%lo'], ['fec0::1', 'fec0::1%eth0']],
    [['::ffff:10.0.0.7'], ['10.0.0.7', '::ffff:10.0.0.7'], ['10.0.0.8']],
    [['::ffff:10.0.0.0/104'], ['10.1.2.3', '::ffff:10.1.2.3'], ['11.0.0.0', '::ffff:11.0.0.0']],
    [
      ['10.0.0.7', 'fd00::/8', '192.0.2.0/24'],
      ['10.0.0.7', 'fd12::', '192.0.2.255'],
      ['10.0.0.8', 'fe12::', '192.0.3.0'],
    ],
  ])('%j', (networks, inside, outside) => {
    for (const peer of inside) expect(includes(networks, peer), String(peer)).toBe(true)
    for (const peer of outside) expect(includes(networks, peer), String(peer)).toBe(false)
  })

  test.each([
    null,
    '',
    ' ',
    'localhost',
    '10.0.0.7 ',
    ' 10.0.0.7',
    '10.0.0.7:443',
    '[::1]',
    '10.0.0.7, 10.0.0.8',
    '010.0.0.7',
    '10.7',
    '%',
    '%eth0',
    '/run/api.sock',
  ])('takes nobody’s word who is %j', (peer) => {
    expect(includes(['10.0.0.0/8', '::1', 'fe80::/10', '0.0.0.0/1'], peer)).toBe(false)
  })

  test('nobody is nobody', () => {
    for (const peer of [null, '127.0.0.1', '::1']) expect(NO_PEERS.includes(peer)).toBe(false)
  })

  test.each<[unknown, RegExp]>([
    ['10.0.0.0/8', /trustedProxies must be a non-empty list/],
    [true, /trustedProxies must be a non-empty list/],
    [1, /trustedProxies must be a non-empty list/],
    [[], /trustedProxies must be a non-empty list/],
    [null, /trustedProxies must be a non-empty list/],
    [[''], /trustedProxies\[0\] must be a non-empty string/],
    [['10.0.0.1', undefined], /trustedProxies\[1\] must be a non-empty string/],
    [[7], /trustedProxies\[0\] must be a non-empty string/],
    [new BlockList(), /trustedProxies must be a non-empty list/],
    [['10.0.0.1', '10.0.0.1'], /trustedProxies names something twice/],
    ...[
      ...['loopback', 'uniquelocal', 'localhost', '*', 'proxy.example.test', '10', '10.0', '10.0.0', '10.0.0.0.0', '10.0.0.256'],
      ...[
        '010.0.0.1',
        '0x0a.0.0.1',
        '167772161',
        ' 10.0.0.1',
        '10.0.0.1 ',
        '10.0.0.1:80',
        '10.0.0.1-10.0.0.9',
        '10.0.0.1,10.0.0.2',
      ],
      ...[
        '10.0.0.0/',
        '10.0.0.0/33',
        '10.0.0.0/-1',
        '10.0.0.0/8.0',
        '10.0.0.0/ 8',
        '10.0.0.0/0x8',
        '10.0.0.0/255.0.0.0',
        '10.0.0.0/8/8',
      ],
      ...['fd00::/129', 'fd00::/1e1', 'fd00::/', '[::1]', '[fd00::]/8', 'fe80::1%eth0', 'fe80::%1/10', ':::', '1::2::3', '/8'],
    ].map((each): [unknown, RegExp] => [[each], /trustedProxies\[0\] must be an IP address or a network such as 10\.0\.0\.0\/8/]),
    ...['0.0.0.0/0', '10.0.0.0/0', '::/0', 'fd00::/0', '10.0.0.0/00', '::/000'].map((each): [unknown, RegExp] => [
      ['192.0.2.1', each],
      /trustedProxies\[1\] would trust everybody: name the addresses of your proxies/,
    ]),
    // Every address of IPv4 is within these.
    ...['::ffff:0:0/96', '::ffff:10.0.0.1/96', '::/1', '::/64', '::/80', '::1/8'].map((each): [unknown, RegExp] => [
      [each],
      /trustedProxies\[0\] would trust everybody/,
    ]),
  ])('is not %j', (networks, message) => {
    expect(() => peerNetworksAt(networks, 'trustedProxies')).toThrow(ConfigError)
    expect(() => peerNetworksAt(networks, 'trustedProxies')).toThrow(message)
  })

  test(
    'agrees with arithmetic on every address and prefix of IPv4',
    () => {
      const address = fc.integer({ min: 0, max: 0xffff_ffff })
      const text = (value: number) => [24, 16, 8, 0].map((bits) => (value >>> bits) & 255).join('.')
      fc.assert(
        fc.property(address, fc.integer({ min: 1, max: 32 }), fc.integer({ min: 0, max: 31 }), (network, prefix, flipped) => {
          const networks = peerNetworksAt([`${text(network)}/${prefix}`], 'trustedProxies')
          const peer = (network ^ (1 << flipped)) >>> 0
          const expected = flipped < 32 - prefix
          expect([networks.includes(text(network)), networks.includes(text(peer))]).toEqual([true, expected])
          expect(networks.includes(`::ffff:${text(peer)}`)).toBe(expected)
        }),
        { numRuns: 2000 * FUZZ_FACTOR, seed: FUZZ_SEED },
      )
    },
    FUZZ_TIMEOUT,
  )

  test(
    'agrees with arithmetic on every address and prefix of IPv6',
    () => {
      const address = fc.bigInt({ min: 1n << 120n, max: (1n << 128n) - 1n })
      const text = (value: bigint) =>
        value
          .toString(16)
          .padStart(32, '0')
          .replace(/.{4}(?=.)/g, '$&:')
      fc.assert(
        fc.property(address, fc.integer({ min: 9, max: 128 }), fc.integer({ min: 0, max: 127 }), (network, prefix, flipped) => {
          const networks = peerNetworksAt([`${text(network)}/${prefix}`], 'trustedProxies')
          const peer = network ^ (1n << BigInt(flipped))
          expect([networks.includes(text(network)), networks.includes(text(peer))]).toEqual([true, flipped < 128 - prefix])
        }),
        { numRuns: 2000 * FUZZ_FACTOR, seed: FUZZ_SEED },
      )
    },
    FUZZ_TIMEOUT,
  )
})

describe('options of a server', () => {
  const issuers = [oauth({ issuer: 'https://as.example.test', audience: 'api' })]
  const create = (options: object) => () => createResourceServer({ issuers, ...options } as never)

  test('trustedProxies are read when a server is made, also where nothing needs them', () => {
    expect(create({ trustedProxies: ['10.0.0.0/8'] })).not.toThrow()
    expect(create({ trustedProxies: ['10.0.0.0/33'] })).toThrow(/resourceServer\(\)\.trustedProxies\[0\] must be an IP address/)
    expect(create({ trustedProxies: [] })).toThrow(ConfigError)
    expect(create({ trustedProxies: undefined })).toThrow(/trustedProxies is undefined/)
  })

  const origin = /publicOrigins(?:\[\d\])? must be an https origin such as https:\/\/api\.example\.com, without a path/

  test.each<[unknown, RegExp]>([
    [undefined, /publicOrigins is undefined/],
    ['', /publicOrigins must be a non-empty string/],
    [null, /publicOrigins must be a non-empty string/],
    [[], /publicOrigins must be a non-empty list/],
    [[null], /publicOrigins\[0\] must be a non-empty string/],
    ...[
      ...[
        'api.example.com',
        '//api.example.com',
        'https:',
        'https://',
        'https:///',
        'https:api.example.com',
        'ftp://api.example.com',
      ],
      ...[
        'http://api.example.com',
        'http://10.0.0.1',
        'http://localhost.example.com',
        'ws://localhost',
        'https://*.example.com:x',
      ],
      ...['https://api.example.com/v1', 'https://api.example.com?a', 'https://api.example.com#a', 'https://api.example.com//'],
      ...[
        'https://user@api.example.com',
        'https://user:pw@api.example.com',
        'https://api.example.com\\',
        ' https://api.example.com',
      ],
      ...['https://api.example.com ', 'https://api.example.com:70000', 'https://[::1', 'https://1.2.3.256', 'null', '*'],
    ].map((each): [unknown, RegExp] => [each, origin]),
    [['https://api.example.com', 'https://api.example.com/'], /publicOrigins names something twice/],
    [['https://api.example.com', 'https://API.example.com:443'], /publicOrigins names something twice/],
    [['https://localhost', 'http://localhost'], /publicOrigins names a host twice: with one scheme only/],
  ])('publicOrigins are not %j', (publicOrigins, message) => {
    const options = { publicOrigins, dpop: { replay: 'single-process' } }
    expect(create(options)).toThrow(ConfigError)
    expect(create(options)).toThrow(message)
  })

  test.each([
    'https://api.example.com',
    'https://api.example.com/',
    'HTTPS://API.example.com:443',
    'https://api.example.com:8443',
    'https://b\u00fccher.example',
    'https://[2001:db8::1]:8443',
    'http://localhost:3000',
    'http://127.0.0.1',
    'http://[::1]:3000',
    ['https://api.example.com', 'https://api.example.org'],
  ])('publicOrigins can be %j', (publicOrigins) => {
    expect(create({ publicOrigins })).not.toThrow()
  })
})
