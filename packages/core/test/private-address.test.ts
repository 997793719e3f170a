/** Which addresses a discovered URL may lead to. */

import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { AuthError, createResourceServer, type Fetch, type IssuerOptions, type ResourceServerOptions } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { createSigningKey, createTestIssuer, TEST_AUDIENCE, type TestIssuer } from '@behalf/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FetchError } from '../src/keys/fetch-json.js'
import { isPublicAddress, publicAddressesOnly, type ResolveHost } from '../src/keys/private-address.js'
import { tokenOf } from './support/harness.js'

/** The first and the last address of each network that is not public, and its neighbours where they are public. */
const NETWORKS: readonly (readonly [what: string, first: string, last: string, before: string | null, after: string | null])[] = [
  ['this network', '0.0.0.0', '0.255.255.255', null, '1.0.0.0'],
  ['private use', '10.0.0.0', '10.255.255.255', '9.255.255.255', '11.0.0.0'],
  ['behind a carrier', '100.64.0.0', '100.127.255.255', '100.63.255.255', '100.128.0.0'],
  ['loopback', '127.0.0.0', '127.255.255.255', '126.255.255.255', '128.0.0.0'],
  ['link-local', '169.254.0.0', '169.254.255.255', '169.253.255.255', '169.255.0.0'],
  ['private use', '172.16.0.0', '172.31.255.255', '172.15.255.255', '172.32.0.0'],
  ['protocol assignments', '192.0.0.0', '192.0.0.255', '191.255.255.255', '192.0.1.0'],
  ['documentation', '192.0.2.0', '192.0.2.255', '192.0.1.255', '192.0.3.0'],
  ['6to4 relays', '192.88.99.0', '192.88.99.255', '192.88.98.255', '192.88.100.0'],
  ['private use', '192.168.0.0', '192.168.255.255', '192.167.255.255', '192.169.0.0'],
  ['benchmarks', '198.18.0.0', '198.19.255.255', '198.17.255.255', '198.20.0.0'],
  ['documentation', '198.51.100.0', '198.51.100.255', '198.51.99.255', '198.51.101.0'],
  ['documentation', '203.0.113.0', '203.0.113.255', '203.0.112.255', '203.0.114.0'],
  ['multicast, reserved, broadcast', '224.0.0.0', '255.255.255.255', '223.255.255.255', null],
]

const NETWORKS_6: typeof NETWORKS = [
  ['unspecified, loopback, old forms of IPv4', '::', '::ffff:ffff', null, null],
  ['NAT64 of a local network', '64:ff9b:1::', '64:ff9b:1:ffff:ffff:ffff:ffff:ffff', null, null],
  ['discard', '100::', '100::ffff:ffff:ffff:ffff', null, null],
  ['a dummy prefix', '100:0:0:1::', '100:0:0:1:ffff:ffff:ffff:ffff', null, null],
  ['protocol assignments, Teredo', '2001::', '2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff', null, '2001:200::'],
  ['documentation', '2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', '2001:db7:ffff::', '2001:db9::'],
  ['6to4', '2002::', '2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '2001:ffff:ffff::', '2003::'],
  ['documentation', '3fff::', '3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff', '3ffe:ffff::', '3fff:1000::'],
  ['segment routing', '5f00::', '5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff', null, null],
  ['unique local', 'fc00::', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', null, null],
  ['link-local, and what was site-local', 'fe80::', 'feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', null, null],
  ['multicast', 'ff00::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', null, null],
  ['not assigned', '4000::', '5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', null, null],
  ['an IPv4 address for translators of old', '::ffff:0:a00:1', '::ffff:0:7f00:1', null, null],
]

describe('isPublicAddress', () => {
  test.each([...NETWORKS, ...NETWORKS_6])('%s: from %s to %s, and not a step further', (_what, first, last, before, after) => {
    expect([first, last].filter(isPublicAddress)).toEqual([])
    const neighbours = [before, after].filter((each) => each !== null)
    expect(neighbours.filter((each) => !isPublicAddress(each))).toEqual([])
  })

  test.each(NETWORKS)('%s: from %s to %s written as IPv6, mapped or behind NAT64', (_what, first, last, before, after) => {
    const forms = (address: string) => [`::ffff:${address}`, mapped(address), `64:ff9b::${address}`]
    expect([first, last].flatMap(forms).filter(isPublicAddress)).toEqual([])
    const neighbours = [before, after].filter((each) => each !== null)
    expect(neighbours.flatMap(forms).filter((each) => !isPublicAddress(each))).toEqual([])
  })

  test.each(['8.8.8.8', '93.184.216.34', '2606:4700:4700::1111', '2a00:1450:4001:81b::200e'])('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })

  test.each([
    '',
    'localhost',
    'example.com',
    '8.8.8',
    '8.8.8.8.8',
    '0127.0.0.1',
    '2130706433',
    '0x7f.1',
    '[::1]',
    ':::',
    'fe80::1%eth0',
  ])('what is no address, or one of this link, is not public: %j', (text) => {
    expect(isPublicAddress(text)).toBe(false)
  })
})

/** `::ffff:` with the address in hexadecimal, as `URL` writes it. */
function mapped(address: string): string {
  return new URL(`http://[::ffff:${address}]`).hostname.slice(1, -1)
}

describe('publicAddressesOnly', () => {
  /** Why a URL is refused; `null`: it is not. `resolve` sees every host that it is asked for. */
  async function refusalOf(
    url: string,
    resolve: ResolveHost = () => Promise.reject(new Error('nobody asked')),
  ): Promise<string | null> {
    try {
      await publicAddressesOnly(resolve)(url)
      return null
    } catch (error) {
      if (error instanceof FetchError) return error.message
      throw error
    }
  }

  const NOT_PUBLIC = 'the host of a discovered URL has an address that is not public'
  const NO_ADDRESS = 'the host of a discovered URL has no address'

  test.each([
    ...['127.0.0.1', '127.1', '127.0.0.1.', '2130706433', '0x7f000001', '0x7f.1', '017700000001', '0177.0.0.1', '127%2e0.0.1'],
    ...[
      '①②⑦.0.0.1',
      '0',
      '10.1',
      '169.254.169.254',
      '[::1]',
      '[::]',
      '[::ffff:127.0.0.1]',
      '[::ffff:a00:1]',
      '[64:ff9b::7f00:1]',
    ],
    ...['[fd00::1]', '[fe80::1]'],
  ])('refuses https://%s without asking for its name', async (host) => {
    expect(await refusalOf(`https://${host}/jwks`)).toBe(NOT_PUBLIC)
    expect(await refusalOf(`https://${host}:8443/jwks`)).toBe(NOT_PUBLIC)
  })

  test.each(['8.8.8.8', '134744072', '0x08080808', '[2606:4700:4700::1111]', '[::ffff:8.8.8.8]'])(
    'lets https://%s through without asking for its name',
    async (host) => {
      expect(await refusalOf(`https://${host}/jwks`)).toBeNull()
    },
  )

  test.each(['http://8.8.8.8/', 'http://example.com/', 'ftp://8.8.8.8/', 'file:///etc/passwd', 'data:,x'])(
    'refuses %s: only https shows who answers',
    async (url) => {
      expect(await refusalOf(url, async () => ['8.8.8.8'])).toBe('the URL is not https, which a discovered one must be')
    },
  )

  test('[BEHALF-public-addresses] asks for every address of a name, and refuses it for a single one that is not public', async () => {
    const asked: string[] = []
    const to = (...addresses: string[]): ResolveHost => {
      return async (host) => {
        asked.push(host)
        return addresses
      }
    }
    const url = 'https://As.Example.com:8443/jwks?x#y'
    expect(await refusalOf(url, to('8.8.8.8'))).toBeNull()
    expect(await refusalOf(url, to('8.8.8.8', '2606:4700:4700::1111'))).toBeNull()
    for (const inside of [
      '127.0.0.1',
      '10.0.0.1',
      '169.254.169.254',
      '::1',
      'fd00::1',
      'fe80::1%eth0',
      '::ffff:127.0.0.1',
      'nonsense',
    ]) {
      expect(await refusalOf(url, to(inside)), inside).toBe(NOT_PUBLIC)
      expect(await refusalOf(url, to('8.8.8.8', inside)), inside).toBe(NOT_PUBLIC)
      expect(await refusalOf(url, to(inside, '8.8.8.8')), inside).toBe(NOT_PUBLIC)
    }
    expect(new Set(asked)).toEqual(new Set(['as.example.com']))
  })

  test('refuses a name without an address, and one that cannot be resolved, by a fixed text', async () => {
    expect(await refusalOf('https://as.example.com/', async () => [])).toBe(NO_ADDRESS)
    expect(await refusalOf('https://as.example.com/', () => Promise.reject(new Error('ENOTFOUND as.example.com')))).toBe(
      NO_ADDRESS,
    )
    const throwing: ResolveHost = () => {
      throw new Error('EAI_AGAIN as.example.com')
    }
    expect(await refusalOf('https://as.example.com/', throwing)).toBe(NO_ADDRESS)
  })

  test('this machine is refused under its own name, whatever its spelling', async () => {
    for (const host of ['localhost', 'LOCALHOST', 'localhost:8443', 'localhost.']) {
      await expect(publicAddressesOnly()(`https://${host}/`), host).rejects.toThrow(FetchError)
    }
    expect(await refusalOf('https://localhost./', async (host) => (host === 'localhost.' ? ['127.0.0.1'] : []))).toBe(NOT_PUBLIC)
  })
})

describe('a server whose issuers are asked for', () => {
  let issuer: TestIssuer
  /** A plain listener on loopback: it counts who connects. */
  const neighbour = createServer((socket) => {
    connections++
    socket.destroy()
  })
  let connections = 0
  let port = 0
  beforeAll(async () => {
    issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
    await new Promise<void>((resolve) => neighbour.listen(0, '127.0.0.1', resolve))
    port = (neighbour.address() as AddressInfo).port
  })
  afterAll(async () => {
    await issuer.close()
    await new Promise((resolve) => neighbour.close(resolve))
  })

  const key = createSigningKey('EdDSA')

  /** What comes of a token of an issuer with these options: `ok`, or code and reason of the refusal. */
  async function outcomeOf(options: IssuerOptions, token: string, more: Partial<ResourceServerOptions> = {}): Promise<string> {
    const server = createResourceServer({ issuers: () => options, ...more })
    try {
      await server.verify(token)
      return 'ok'
    } catch (error) {
      if (!(error instanceof AuthError)) throw error
      return `${error.code}: ${(error.cause as Error | undefined)?.message}`
    } finally {
      await server.close()
    }
  }

  const oauthOf = (iss: string, more: object = {}) => oauth({ issuer: iss, audience: TEST_AUDIENCE, ...more })
  const now = Math.floor(Date.now() / 1000)
  const signedBy = (iss: string) => tokenOf({ iss, aud: TEST_AUDIENCE, iat: now, exp: now + 600 }, {}, key)

  test.each(['localhost', '127.0.0.1', '[::1]', '2130706433'])('does not even connect to https://%s', async (host) => {
    const iss = `https://${host}:${port}`
    expect(await outcomeOf(oauthOf(iss), signedBy(iss))).toMatch(/^keys_unavailable: the host of a discovered URL has an address/)
    expect(connections).toBe(0)
    const allowed = { discovery: { allowPrivateAddresses: true } }
    if (host === '127.0.0.1') {
      expect(await outcomeOf(oauthOf(iss), signedBy(iss), allowed)).toBe(
        'keys_unavailable: the metadata document could not be read',
      )
      expect(connections, 'the listener does count').toBeGreaterThan(0)
      connections = 0
    }
  })

  test('http to loopback, which a list of issuers may name, is refused too, unless it is allowed', async () => {
    const options = issuer.options()
    expect(await outcomeOf(options, issuer.token())).toBe(
      'keys_unavailable: the URL is not https, which a discovered one must be',
    )
    expect(await outcomeOf(options, issuer.token(), { discovery: {} })).toMatch(/^keys_unavailable/)
    expect(await outcomeOf(options, issuer.token(), { discovery: { allowPrivateAddresses: false } })).toMatch(/^keys_unavailable/)
    expect(issuer.hits).toEqual({ jwks: 0, metadata: 0 })
    expect(await outcomeOf(options, issuer.token(), { discovery: { allowPrivateAddresses: true } })).toBe('ok')
    expect(issuer.hits).toEqual({ jwks: 1, metadata: 1 })
  })

  test('a key set that the application itself names is not screened', async () => {
    const before = issuer.hits.jwks
    expect(await outcomeOf(issuer.options({ jwksUri: issuer.jwksUri }), issuer.token())).toBe('ok')
    expect(issuer.hits.jwks).toBe(before + 1)
  })

  test('issuers of a list are not screened: whoever writes the configuration may name loopback', async () => {
    const server = createResourceServer({ issuers: [issuer.options()] })
    expect((await server.verify(issuer.token())).subject.id).toBe('user-1')
    await server.close()
  })

  describe('whose metadata stands on a public address', () => {
    const ISS = 'https://93.184.216.34'
    /** A world in which that address answers. */
    function world(jwksUri: string): { readonly fetch: Fetch; readonly asked: string[] } {
      const asked: string[] = []
      const fetch: Fetch = async (url) => {
        asked.push(url)
        if (url.includes('/.well-known/')) return Response.json({ issuer: ISS, jwks_uri: jwksUri })
        return Response.json({ keys: [key.jwk] })
      }
      return { fetch, asked }
    }

    test('its key set is read from a public address', async () => {
      const { fetch, asked } = world('https://93.184.216.35/jwks')
      expect(await outcomeOf(oauthOf(ISS), signedBy(ISS), { fetch })).toBe('ok')
      expect(asked).toEqual([`${ISS}/.well-known/oauth-authorization-server`, 'https://93.184.216.35/jwks'])
    })

    test.each([
      'https://127.0.0.1/jwks',
      'https://localhost/jwks',
      'https://[::1]/jwks',
      'https://169.254.169.254/latest/meta-data',
      'https://0x7f.1/jwks',
      'https://[::ffff:10.0.0.1]/jwks',
      'http://127.0.0.1/jwks',
    ])('and never from %s', async (jwksUri) => {
      const { fetch, asked } = world(jwksUri)
      expect(await outcomeOf(oauthOf(ISS), signedBy(ISS), { fetch })).toMatch(/^keys_unavailable: /)
      expect(asked.filter((url) => !url.startsWith(`${ISS}/.well-known/`))).toEqual([])
      const allowed = { fetch, discovery: { allowPrivateAddresses: true } }
      expect(await outcomeOf(oauthOf(ISS), signedBy(ISS), allowed)).toBe('ok')
      expect(asked).toContain(jwksUri)
    })

    test('a place that turns private later is not read either: what was found before serves, and no longer than keys may be stale', async () => {
      let clock = Date.now()
      let jwksUri = 'https://93.184.216.35/jwks'
      const asked: string[] = []
      const fetch: Fetch = async (url) => {
        asked.push(url)
        return url.includes('/.well-known/')
          ? Response.json({ issuer: ISS, jwks_uri: jwksUri })
          : Response.json({ keys: [key.jwk] })
      }
      const server = createResourceServer({ issuers: () => oauthOf(ISS), fetch, now: () => clock })
      await server.keys.refresh(ISS)
      jwksUri = 'https://10.0.0.1/jwks'
      const refused: number[] = []
      for (let minute = 1; minute <= 62; minute++) {
        clock += 60_000
        await server.keys.refresh(ISS).catch(() => refused.push(minute))
      }
      expect(refused).toEqual([60, 61, 62])
      expect(asked.some((url) => url.startsWith('https://10.'))).toBe(false)
      expect(asked.filter((url) => url.includes('/.well-known/')).length, 'the metadata was read again').toBeGreaterThan(50)
      await server.close()
    })
  })

  test('discovery beside a list of issuers is a mistake', () => {
    for (const allowPrivateAddresses of [true, false]) {
      const options = { issuers: [issuer.options()], discovery: { allowPrivateAddresses } }
      expect(() => createResourceServer(options)).toThrow('discovery is for issuers as a function: leave it out beside a list')
    }
    const mistaken = { issuers: () => null, discovery: { allowPrivateAddresses: 'yes' } } as unknown as ResourceServerOptions
    expect(() => createResourceServer(mistaken)).toThrow('discovery.allowPrivateAddresses must be true or false')
  })
})
