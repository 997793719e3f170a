/** Options about proofs of possession: what is refused when a server, or a guard, is made, and by which name. */
import type { DpopOptions, IssuerOptions, ReplayMemory, Requirement, ResourceServerOptions } from '@behalf/core'
import { AuthError, ConfigError, createResourceServer } from '@behalf/core/adapter'
import { oauth } from '@behalf/core/issuers'
import { createDpopClient } from '@behalf/testing'
import { describe, expect, test, vi } from 'vitest'
import { resolveOptions } from '../src/options.js'
import { HeldResponse, JWKS, NOW_SECONDS, oauthIssuer, requestView, settle, tokenOf } from './support/harness.js'

const ORIGIN = 'https://api.example.test'
const SECRET = 's'.repeat(43)

/** A server that judges proofs, with options of its own. */
const GOOD = {
  issuers: [oauthIssuer({ dpop: 'allow' })],
  publicOrigins: ORIGIN,
  dpop: { replay: 'single-process' },
} satisfies ResourceServerOptions

/** Options as somebody without types can write them. */
function make(options: object): ReturnType<typeof createResourceServer> {
  return createResourceServer(options as ResourceServerOptions)
}

function messageOf(step: () => unknown): string {
  try {
    step()
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return 'nothing was refused'
}

const dpop = (more: object) => ({ ...GOOD, dpop: { replay: 'single-process', ...more } })

describe('a server', () => {
  test('takes every way of saying it well', () => {
    for (const options of [
      GOOD,
      dpop({ nonce: { secret: SECRET } }),
      dpop({ nonce: { secret: [SECRET, new Uint8Array(32)] } }),
      dpop({ algorithms: ['ES256'] }),
      dpop({ replay: { use: () => true } }),
      { ...GOOD, publicOrigins: [ORIGIN, 'https://other.example.test'] },
      { ...GOOD, trustedProxies: ['10.0.0.0/8'] },
      { ...GOOD, issuers: () => null },
      { ...GOOD, issuers: [oauthIssuer(), oauthIssuer({ issuer: 'https://b.test', dpop: 'allow' })] },
      { issuers: [oauthIssuer({ dpop: 'off' })] },
      { issuers: [oauthIssuer()], publicOrigins: ORIGIN },
    ]) {
      expect(() => make(options)).not.toThrow()
    }
  })

  test.each<[string, object, RegExp]>([
    ['dpop is not an object', { ...GOOD, dpop: 'single-process' }, /^dpop must be an object/],
    ['dpop is a mode', { ...GOOD, dpop: 'require' }, /^dpop must be an object/],
    ['dpop is null', { ...GOOD, dpop: null }, /^dpop must be an object/],
    ['dpop is undefined', { ...GOOD, dpop: undefined }, /^resourceServer\(\)\.dpop is undefined/],
    ['dpop knows no such member', dpop({ nonces: {} }), /^dpop has an unknown member "nonces"/],
    ['nobody remembers proofs', { ...GOOD, dpop: {} }, /^dpop\.replay must be 'single-process'/],
    ['the memory is undefined', dpop({ replay: undefined }), /^dpop\.replay is undefined/],
    ['the memory is null', dpop({ replay: null }), /^dpop\.replay must be 'single-process'/],
    ['the memory is another word', dpop({ replay: 'memory' }), /^dpop\.replay must be 'single-process'/],
    ['the memory is true', dpop({ replay: true }), /^dpop\.replay must be 'single-process'/],
    ['the memory is a function', dpop({ replay: () => true }), /^dpop\.replay must be 'single-process'/],
    ['the memory cannot be used', dpop({ replay: {} }), /^dpop\.replay must be 'single-process'/],
    ['the memory has no function for it', dpop({ replay: { use: true } }), /^dpop\.replay must be 'single-process'/],
    ['the origins are missing', { issuers: [oauthIssuer()], dpop: GOOD.dpop }, /^dpop is given: name in publicOrigins/],
    ['nonce is a text', dpop({ nonce: SECRET }), /^dpop\.nonce must be an object/],
    ['nonce is true', dpop({ nonce: true }), /^dpop\.nonce must be an object/],
    ['nonce has no secret', dpop({ nonce: {} }), /^dpop\.nonce\.secret must be 32 random bytes/],
    ['nonce has another member', dpop({ nonce: { secret: SECRET, seconds: 1 } }), /^dpop\.nonce has an unknown member "seconds"/],
    ['the secret is short', dpop({ nonce: { secret: 'short' } }), /^dpop\.nonce\.secret must be 32 random bytes/],
    ['no secret is in the list', dpop({ nonce: { secret: [] } }), /^dpop\.nonce\.secret must be a non-empty list/],
    ['one in the list is short', dpop({ nonce: { secret: [SECRET, 'x'] } }), /^dpop\.nonce\.secret\[1\] must be 32 random bytes/],
    ['the algorithms are a text', dpop({ algorithms: 'ES256' }), /^dpop\.algorithms must be a non-empty list/],
    ['no algorithm is accepted', dpop({ algorithms: [] }), /^dpop\.algorithms must be a non-empty list/],
    ['an algorithm is none', dpop({ algorithms: ['none'] }), /^dpop\.algorithms\[0\] is not an accepted algorithm/],
    [
      'an algorithm is symmetric',
      dpop({ algorithms: ['ES256', 'HS256'] }),
      /^dpop\.algorithms\[1\] is not an accepted algorithm/,
    ],
    ['an algorithm is written otherwise', dpop({ algorithms: ['es256'] }), /^dpop\.algorithms\[0\] is not an accepted algorithm/],
    ['an algorithm stands there twice', dpop({ algorithms: ['ES256', 'ES256'] }), /^dpop\.algorithms names something twice/],
    ['an origin is none', { ...GOOD, publicOrigins: 'api.example.test' }, /publicOrigins must be an https origin/],
    ['no origin is in the list', { ...GOOD, publicOrigins: [] }, /publicOrigins must be a non-empty list/],
    ['an origin has a path', { ...GOOD, publicOrigins: [ORIGIN, `${ORIGIN}/v1`] }, /publicOrigins\[1\] must be an https origin/],
    ['a proxy is none', { ...GOOD, trustedProxies: ['proxy'] }, /trustedProxies\[0\] must be an IP address or a network/],
    ['everybody is a proxy', { ...GOOD, trustedProxies: ['::/0'] }, /trustedProxies\[0\] would trust everybody/],
    ['proxies are a text', { ...GOOD, trustedProxies: '10.0.0.0/8' }, /trustedProxies must be a non-empty list/],
  ])('is refused where %s', (_what, options, message) => {
    expect(messageOf(() => make(options))).toMatch(message)
  })

  test('a nonce lives for ten seconds or more: no client could use it else', () => {
    expect(messageOf(() => make({ ...GOOD, limits: { nonceSeconds: 9 } }))).toContain(
      'limits.nonceSeconds must be a whole number, at least 10',
    )
    expect(() => make({ ...GOOD, limits: { nonceSeconds: 10 } })).not.toThrow()
  })

  test.each<[string, object]>([
    ['dpop', { ...GOOD, issuers: [oauthIssuer()] }],
    ['mtls', { issuers: [oauthIssuer()], mtls: { certificate: 'connection' } }],
  ])('%s without an issuer that asks for it is a mistake: bearer tokens would go on', (way, options) => {
    expect(messageOf(() => make(options))).toBe(
      `${way} is given, but no issuer's tokens are bound in that way: give one ${way}: 'allow' or 'require'`,
    )
  })

  test.each(['proofBytes', 'proofSeconds', 'replayMilliseconds', 'replayEntries'])(
    'is refused where limits.%s is no positive whole number',
    (limit) => {
      for (const value of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '60', null]) {
        expect(messageOf(() => make({ ...GOOD, limits: { [limit]: value } }))).toContain(`limits.${limit} must be a whole number`)
      }
      expect(() => make({ ...GOOD, limits: { [limit]: 1 } })).not.toThrow()
    },
  )

  test('is refused where a memory could never hold what it is to remember, or a timer could not be set', () => {
    expect(messageOf(() => make({ ...GOOD, limits: { replayEntries: 2 ** 24 } }))).toContain('limits.replayEntries')
    expect(messageOf(() => make({ ...GOOD, limits: { replayMilliseconds: 2 ** 31 } }))).toContain('limits.replayMilliseconds')
  })

  test('tells no secret in any of its errors', () => {
    const secret = 'the-secret-of-somebody'
    for (const options of [
      dpop({ nonce: { secret } }),
      dpop({ nonce: secret }),
      dpop({ nonce: { secret: [SECRET, secret] } }),
      dpop({ nonce: { secret: SECRET }, algorithms: [] }),
    ]) {
      const message = messageOf(() => make(options))
      expect(message).not.toContain(secret)
      expect(message).not.toContain(SECRET)
    }
  })
})

describe('an issuer', () => {
  const lacking = (issuer: Parameters<typeof oauthIssuer>[0], more: object = {}) =>
    messageOf(() => make({ issuers: [oauthIssuer(issuer)], ...more }))

  test.each(['allow', 'require'] as const)('whose dpop is %s needs the server to judge proofs', (mode) => {
    expect(lacking({ dpop: mode })).toMatch(/^issuers\[0\]\.dpop is '(?:allow|require)': name in publicOrigins/)
    expect(lacking({ dpop: mode }, { publicOrigins: ORIGIN })).toMatch(/^issuers\[0\]\.dpop is '.*': say in dpop\.replay/)
    expect(lacking({ dpop: mode }, { publicOrigins: ORIGIN, dpop: GOOD.dpop })).toBe('nothing was refused')
  })

  test.each([true, false, null, '', 'on', 'Allow', 'required', 1, ['allow']])('dpop %j is no mode', (mode) => {
    const issuer = { ...oauthIssuer(), dpop: mode } as unknown as IssuerOptions
    expect(messageOf(() => make({ ...GOOD, issuers: [issuer] }))).toMatch(
      /^issuers\[0\]\.dpop must be one of 'off', 'allow', 'require'/,
    )
  })

  test('dpop undefined is a mistake, not the default', () => {
    const issuer = { ...oauthIssuer(), dpop: undefined } as unknown as IssuerOptions
    expect(messageOf(() => make({ ...GOOD, issuers: [issuer] }))).toMatch(/dpop is undefined/)
  })

  test('that a function answers with needs the same, and is a mistake of the application where it is not there', async () => {
    const issuer = oauthIssuer({ dpop: 'allow' })
    const lookup = () => issuer
    await expect(make({ issuers: lookup }).verify(tokenOf())).rejects.toThrow(
      /^issuers\(…\)\.dpop is 'allow': name in publicOrigins/,
    )
    await expect(make({ issuers: lookup }).verify(tokenOf())).rejects.toBeInstanceOf(ConfigError)
    const now = () => 1790000000 * 1000
    await expect(make({ ...GOOD, issuers: lookup, now }).verify(tokenOf())).resolves.toMatchObject({ kind: 'direct' })
  })
})

describe('a requirement', () => {
  const guard = (options: object, requirement: object) => messageOf(() => make(options).guard(requirement as Requirement))
  const without = { issuers: [oauthIssuer()] }

  test.each(['allow', 'require'])('%s needs an issuer whose tokens can be bound to a key', (mode) => {
    expect(guard(without, { dpop: mode })).toMatch(/^guard\(\)\.dpop is '(?:allow|require)', but no issuer's tokens can be bound/)
    expect(guard({ issuers: [oauthIssuer()], publicOrigins: ORIGIN }, { dpop: mode })).toMatch(/^guard\(\)\.dpop is/)
    expect(guard(GOOD, { dpop: mode })).toBe('nothing was refused')
    expect(guard({ ...GOOD, issuers: () => null }, { dpop: mode })).toBe('nothing was refused')
    expect(guard({ issuers: () => null }, { dpop: mode })).toMatch(/^guard\(\)\.dpop is/)
  })

  test('off needs nothing', () => {
    for (const options of [without, GOOD]) expect(guard(options, { dpop: 'off' })).toBe('nothing was refused')
  })

  test.each([true, null, '', 'on', ['require']])('%j is no mode', (mode) => {
    expect(guard(GOOD, { dpop: mode })).toMatch(/^guard\(\)\.dpop must be one of 'off', 'allow', 'require'/)
  })
})

describe('what is compiled', () => {
  const steps = (options: object) => resolveOptions(options).binder.steps

  test('where nothing is bound there is no step, and nothing beside Bearer is told', () => {
    for (const options of [{ issuers: [oauthIssuer()] }, { issuers: [oauthIssuer()], publicOrigins: ORIGIN }]) {
      expect(steps(options)).toEqual([])
      expect(resolveOptions(options)).toMatchObject({ dpop: null, offer: null })
    }
  })

  test('where an issuer, or a function that may name one, allows it there is one', () => {
    expect(steps(GOOD)).toEqual(['dpop'])
    expect(steps({ ...GOOD, issuers: [oauthIssuer(), oauthIssuer({ issuer: 'https://b.test', dpop: 'require' })] })).toEqual([
      'dpop',
    ])
    expect(steps({ ...GOOD, issuers: () => null })).toContain('dpop')
    expect(steps({ issuers: () => null })).not.toContain('dpop')
  })

  test('challenges offer Bearer as long as one issuer takes it', () => {
    const offerOf = (...modes: ('off' | 'allow' | 'require')[]) =>
      resolveOptions({
        ...GOOD,
        issuers: modes.map((mode, at) => oauthIssuer({ issuer: `https://${at}.test`, dpop: mode })),
      }).offer
    expect(offerOf('allow')?.bearer).toBe(true)
    expect(offerOf('require')?.bearer).toBe(false)
    expect(offerOf('require', 'off')?.bearer).toBe(true)
    expect(offerOf('require', 'require')?.bearer).toBe(false)
    expect(resolveOptions({ ...GOOD, issuers: () => null }).offer?.bearer).toBe(true)
    expect(resolveOptions(dpop({ algorithms: ['ES256', 'EdDSA'] })).offer?.dpopAlgorithms).toEqual(['ES256', 'EdDSA'])
  })
})

describe('a shared memory', () => {
  class Shared implements ReplayMemory {
    calls: string[] = []
    failing = false
    use(): boolean {
      return true
    }
    async ready(): Promise<void> {
      this.calls.push('ready')
      if (this.failing) throw new Error('redis://user:secret@replay')
    }
    async close(): Promise<void> {
      this.calls.push('close')
      if (this.failing) throw new Error('cannot be closed')
    }
  }
  const serverOf = (replay: DpopOptions['replay'], more: object = {}) => make({ ...GOOD, dpop: { replay }, ...more })

  test('is waited for by ready(), whose failure is ours, and told without a word of it', async () => {
    const shared = new Shared()
    const server = serverOf(shared)
    await server.ready()
    expect(shared.calls).toEqual(['ready'])
    shared.failing = true
    const error = await server.ready().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(AuthError)
    expect(error).toMatchObject({ code: 'replay_unavailable', status: 503, headers: { 'retry-after': '5' } })
    expect(String((error as Error).stack) + JSON.stringify(error)).not.toContain('secret')
  })

  test('is no reason to wait with the keys', async () => {
    const asked: string[] = []
    const fetch = async (url: string) => {
      asked.push(url)
      return Response.json({ keys: JWKS.keys })
    }
    const replay = { use: () => true, ready: () => new Promise<void>(() => {}) }
    make({
      ...GOOD,
      issuers: [oauth({ issuer: 'https://a.test', audience: 'a', jwksUri: 'https://a.test/jwks', dpop: 'allow' })],
      dpop: { replay },
      fetch,
      warmUp: true,
    })
    await settle()
    expect(asked).toEqual(['https://a.test/jwks'])
  })

  test.each(['ready', 'close'])('whose %s is no function is a mistake', (name) => {
    expect(messageOf(() => serverOf({ use: () => true, [name]: 5 } as never))).toBe(`dpop.replay.${name} must be a function`)
  })

  test('that fails is warned of once, by its code alone', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const client = createDpopClient({ now: () => NOW_SECONDS * 1000 })
    const token = tokenOf({ cnf: { jkt: client.jkt } })
    const server = make({
      ...GOOD,
      now: () => NOW_SECONDS * 1000,
      dpop: {
        replay: { use: () => Promise.reject(Object.assign(new Error('redis://user:secret@replay'), { code: 'ECONNREFUSED' })) },
      },
    })
    for (let call = 0; call < 3; call++) {
      const headers = { dpop: client.proof('GET', `${ORIGIN}/orders`, { token }) }
      const request = requestView(null, { headers, authorization: [`DPoP ${token}`] })
      const exchange = { key: {}, request, response: new HeldResponse() }
      await expect(server.authenticate()(exchange)).rejects.toMatchObject({ code: 'replay_unavailable' })
    }
    expect(warn.mock.calls).toEqual([
      ['behalf: the memory of used proofs does not answer (ECONNREFUSED)', { code: 'BEHALF_REPLAY_UNAVAILABLE' }],
    ])
    warn.mockRestore()
  })

  test('is closed with the server, once, also where a sink cannot be', async () => {
    const shared = new Shared()
    await serverOf(shared).close()
    expect(shared.calls).toEqual(['close'])
    const other = new Shared()
    const sink = { write() {}, close: () => Promise.reject(new Error('sink')) }
    await expect(serverOf(other, { audit: { sinks: [sink] } }).close()).rejects.toThrow('an audit sink could not be closed')
    expect(other.calls).toEqual(['close'])
  })

  test('that cannot be closed is told of', async () => {
    const shared = new Shared()
    shared.failing = true
    await expect(serverOf(shared).close()).rejects.toThrow('cannot be closed')
  })

  test('needs neither ready nor close', async () => {
    const server = serverOf({ use: () => true })
    await server.ready()
    await server.close()
    const single = serverOf('single-process')
    await single.ready()
    await single.close()
  })

  test('is closed also where no issuer was asked for that binds its tokens', async () => {
    const shared = new Shared()
    await serverOf(shared, { issuers: () => null }).close()
    expect(shared.calls).toEqual(['close'])
  })
})
