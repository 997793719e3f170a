/** What a `fetch` of the application's own can bring that no standard one would: answers after their time, and odd ones. */
import { createSigningKey } from '@behalf/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import { DiscoveredLocation } from '../src/keys/discovery.js'
import { RemoteDocument } from '../src/keys/remote-document.js'
import { DEFAULT_LIMITS } from '../src/limits.js'
import { clock, codeOf, GOOD_SET, ISSUER, KID, keySetAt, START, settle } from './support/key-apis.js'

const JWKS_URI = `${ISSUER}/jwks`
const next = createSigningKey('EdDSA', { kid: 'next' })
const ROTATED = { keys: [next.jwk] }
const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

beforeEach(() => {
  clock.time = START
})

/** A body whose bytes, or whose end, come when the test says so; nothing that its reader does matters to it. */
function heldBody(value: unknown, what: 'bytes' | 'end') {
  const gate = deferred()
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      if (what === 'end') controller.enqueue(bytes(value))
      await gate.promise
      if (what === 'bytes') controller.enqueue(bytes(value))
      controller.close()
    },
  })
  return { body, deliver: () => gate.resolve() }
}

/** A server of documents with versions, and a `fetch` that heeds no signal. */
function heedless() {
  const world = {
    version: '"1"',
    document: GOOD_SET as unknown,
    /** The next answer, instead of the document. */
    instead: null as Response | null,
    asked: [] as (string | undefined)[],
    fetch: async (_url: string, init: RequestInit): Promise<Response> => {
      const etag = (init.headers as Record<string, string>)['if-none-match']
      world.asked.push(etag)
      const { instead, version, document } = world
      world.instead = null
      if (instead !== null) return instead
      const headers = { etag: version }
      return etag === version ? new Response(null, { status: 304, headers }) : Response.json(document, { headers })
    },
  }
  return world
}

describe('a fetch that ends after its time', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test.each(['bytes', 'end'] as const)(
    'changes nothing: its version is not taken for that of the old keys (%s)',
    async (what) => {
      const world = heedless()
      const keys = keySetAt(JWKS_URI, { fetch: world.fetch })
      await keys.refresh()
      const held = heldBody(ROTATED, what)
      world.instead = new Response(held.body, { headers: { etag: '"2"' } })
      const late = codeOf(() => keys.refresh())
      await settle()
      await vi.advanceTimersByTimeAsync(DEFAULT_LIMITS.fetchTotalMilliseconds)
      expect(await late).toBe('keys_unavailable')
      held.deliver()
      await settle()
      expect(keys.latest?.find(KID, 'EdDSA')).toMatchObject({ kid: KID })
      expect(keys.state()).toMatchObject({ failures: 1, lastFailure: 'the server took too long' })

      world.version = '"2"'
      world.document = ROTATED
      for (let refresh = 0; refresh < 2; refresh++) {
        await keys.refresh()
        expect(keys.latest?.find(KID, 'EdDSA')).toBeNull()
        expect(keys.latest?.find('next', 'EdDSA')).toMatchObject({ kid: 'next' })
      }
      expect(world.asked).toEqual([undefined, '"1"', '"1"', '"2"'])
      expect(await codeOf(() => keys.find(KID, 'EdDSA'))).not.toBe('ok')
    },
  )
})

describe('what is read when nobody waits any more', () => {
  test('a document keeps neither value nor version of it', async () => {
    const world = heedless()
    const document = new RemoteDocument(JWKS_URI, world.fetch, DEFAULT_LIMITS)
    const abandon = new AbortController()
    const held = heldBody(ROTATED, 'end')
    world.instead = new Response(held.body, { headers: { etag: '"2"' } })
    const late = document.read(abandon.signal)
    await settle()
    abandon.abort()
    held.deliver()
    await expect(late).rejects.toThrow('the server took too long')
    const reading = await document.read(new AbortController().signal)
    expect(reading).toMatchObject({ value: GOOD_SET, unchanged: false })
    expect(world.asked).toEqual([undefined, undefined])
  })

  test.each(['the metadata', 'the screening'] as const)(
    'an abandoned discovery does not replace a newer place (%s)',
    async (what) => {
      const metadata = (name: string) => ({ issuer: ISSUER, jwks_uri: `${ISSUER}/${name}` })
      const body = heldBody(metadata('old'), 'end')
      const screened = deferred()
      let asked = 0
      const location = new DiscoveredLocation(ISSUER, {
        fetch: async () => {
          asked++
          if (asked > 1) return Response.json(metadata('new'))
          return what === 'the metadata' ? new Response(body.body) : Response.json(metadata('old'))
        },
        now: clock.now,
        limits: DEFAULT_LIMITS,
        screen: async (url) => {
          if (what === 'the screening' && url.endsWith('/old')) await screened.promise
        },
      })
      const abandon = new AbortController()
      const late = location.jwksUri(abandon.signal).catch((error: Error) => error.message)
      await settle()
      abandon.abort()
      const { signal } = new AbortController()
      expect(await location.jwksUri(signal)).toBe(`${ISSUER}/new`)
      body.deliver()
      screened.resolve()
      expect(await late).not.toBe(`${ISSUER}/old`)
      const before = asked
      expect(await location.jwksUri(signal)).toBe(`${ISSUER}/new`)
      expect(asked, 'it is remembered').toBe(before)
    },
  )
})

describe('an odd answer', () => {
  const oddBody = (...chunks: unknown[]) =>
    new Response(
      new ReadableStream<never>({
        start(controller) {
          for (const chunk of chunks) controller.enqueue(chunk as never)
          controller.close()
        },
      }),
    )
  const redirected = Object.defineProperty(Response.json(GOOD_SET), 'redirected', { value: true })

  test.each<[string, () => Response, string]>([
    ['a body of texts', () => oddBody(JSON.stringify(GOOD_SET)), 'the answer has no bytes'],
    ['a text without byteLength that would not count', () => oddBody(bytes(GOOD_SET), ' '), 'the answer has no bytes'],
    ['an object', () => oddBody({ byteLength: 0 }), 'the answer has no bytes'],
    ['the end of a redirect', () => redirected, 'the answer came by a redirect'],
  ])('is refused: %s', async (_what, answer, failure) => {
    const keys = keySetAt(JWKS_URI, { fetch: async () => answer() })
    expect(await codeOf(() => keys.refresh())).toBe('keys_unavailable')
    expect(keys.state()).toMatchObject({ keys: 0, lastFailure: failure })
  })

  test('is none where its bytes come in parts', async () => {
    const all = bytes(GOOD_SET)
    const keys = keySetAt(JWKS_URI, { fetch: async () => oddBody(all.slice(0, 10), Buffer.from(all.slice(10))) })
    await keys.refresh()
    expect(keys.state().keys).toBe(1)
  })
})

describe('keysRefreshPercent: 1', () => {
  test('does not fetch on every request, however early the refresh falls', async () => {
    const world = heedless()
    const keys = keySetAt(JWKS_URI, { fetch: world.fetch, random: () => 1, limits: { keysRefreshPercent: 1 } })
    await keys.refresh()
    clock.time = START + 5_399
    for (let request = 0; request < 5; request++) {
      expect(keys.find(KID, 'EdDSA')).toMatchObject({ kid: KID })
      await settle()
    }
    expect(world.asked).toHaveLength(1)
    clock.time = START + 5_401 // nine tenths of one percent of ten minutes
    keys.find(KID, 'EdDSA')
    await settle()
    expect(world.asked).toHaveLength(2)
  })
})
