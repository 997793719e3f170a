/** A verified token is kept and used again: nothing that one request does may show in the next, and nobody else's record counts. */
import type { AuthContext, IssuerOptions, ResourceServerOptions } from '@behalf/core'
import { custom } from '@behalf/core/issuers'
import { createTestIssuer, memorySink } from '@behalf/testing'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { ask, bearer } from './support/http.js'
import { type Application, FRAMEWORKS, type Framework, type RunningApi, startApi, type TestServer } from './support/servers.js'

const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
const jwks = issuer.jwks()

const closing: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const each of closing.splice(0)) await each.close()
})
afterAll(() => issuer.close())

async function start(
  framework: Framework,
  build: (app: Application, api: TestServer, framework: Framework) => void,
  more: Partial<ResourceServerOptions> = {},
): Promise<RunningApi> {
  const options: ResourceServerOptions = {
    issuers: [issuer.options({ jwks })],
    delegation: [{ id: 'agents', kind: 'delegation', actor: 'any', scopes: ['orders:*'], maxDepth: 8 }],
    audit: { sinks: [memorySink()], record: 'always' },
    ...more,
  }
  const started = await startApi(framework, options, build)
  closing.push(started)
  return started
}

/** Every object that can be reached from a value, with how to get there. The realm's own prototypes belong to everybody. */
function reachable(value: unknown): ReadonlyMap<object, string> {
  const found = new Map<object, string>()
  const shared = new Set<unknown>([Object.prototype, Array.prototype, null])
  const visit = (each: unknown, path: string): void => {
    if ((typeof each !== 'object' && typeof each !== 'function') || each === null || found.has(each)) return
    found.set(each, path)
    for (const key of Reflect.ownKeys(each)) visit(Reflect.get(each, key), `${path}.${String(key)}`)
    const prototype: unknown = Reflect.getPrototypeOf(each)
    if (!shared.has(prototype)) visit(prototype, `${path}.<prototype>`)
  }
  visit(value, 'context')
  return found
}

/** Everything that a careless or hostile handler can do to an object; each returns or throws, and must change nothing. */
function vandalize(target: object): void {
  const attempt = (act: () => unknown) => {
    try {
      act()
    } catch {
      // A strict-mode assignment throws: as good as doing nothing.
    }
  }
  for (const key of [...Reflect.ownKeys(target), 'added', '__proto__', 'constructor', 'length', '0']) {
    attempt(() => Reflect.set(target, key, 'vandal'))
    attempt(() => Reflect.deleteProperty(target, key))
    attempt(() => Reflect.defineProperty(target, key, { value: 'vandal', configurable: true }))
    attempt(() => Reflect.defineProperty(target, key, { get: () => 'vandal', configurable: true }))
  }
  attempt(() => Reflect.setPrototypeOf(target, { sub: 'vandal', scopes: ['admin'] }))
  attempt(() => Object.assign(target, { kind: 'direct', id: 'vandal' }))
  if (Array.isArray(target)) {
    attempt(() => target.push('admin'))
    attempt(() => target.splice(0, 1, 'admin'))
    attempt(() => target.reverse())
    attempt(() => target.sort(() => -1))
    attempt(() => target.fill('admin'))
    attempt(() => {
      target.length = 0
    })
  }
}

const rich = {
  act: { sub: 'agent-7', sub_profile: 'ai_agent', name: { given: 'A', tags: ['x', { deep: true }] }, act: { sub: 'agent-1' } },
  may_act: { sub: 'other', email: 'o@example.test' },
  roles: ['admin', { name: 'r' }],
  authorization_details: [{ type: 'account', actions: ['read'] }],
  profile: { address: { lines: ['a', 'b'] } },
  aud: [issuer.audience, 'https://other.example.test'],
}
const tokens = {
  direct: issuer.token({ claims: { profile: rich.profile, may_act: rich.may_act, roles: rich.roles } }),
  'self actor': issuer.token({ claims: { act: { sub: 'user-1', iss: issuer.issuer, note: { n: 1 } } } }),
  delegated: issuer.token({ claims: rich }),
}

describe.each(FRAMEWORKS)('$name', (framework) => {
  const { handler, step } = framework

  test.each(Object.entries(tokens))(
    'whatever a handler does to the context of a %s call, the next request sees the same',
    async (_name, token) => {
      const walked: ReadonlyMap<object, string>[] = []
      const { port } = await start(framework, (app, api) => {
        const show = handler((call) => call.json(api.contextOf(call.request)))
        app.use(api.authenticate())
        app.route('GET', '/', show)
        app.route(
          'GET',
          '/vandal',
          handler((call) => {
            const objects = reachable(api.contextOf(call.request))
            walked.push(objects)
            for (const each of objects.keys()) vandalize(each)
            vandalize(call.shown['auth'] as object)
            call.json(api.contextOf(call.request))
          }),
        )
      })
      const headers = [bearer(token)]
      const before = await ask(port, { headers })
      expect(before.status).toBe(200)
      expect((await ask(port, { path: '/vandal', headers })).body).toBe(before.body)
      expect((await ask(port, { headers })).body).toBe(before.body)

      const paths = [...(walked[0]?.values() ?? [])]
      expect(paths).toEqual(
        expect.arrayContaining(['context', 'context.subject', 'context.scopes', 'context.token', 'context.claims']),
      )
      for (const [each, path] of walked[0] ?? []) {
        expect({ path, frozen: Object.isFrozen(each) }).toEqual({ path, frozen: true })
        expect({
          path,
          type: typeof each,
          plain: Array.isArray(each) || [null, Object.prototype].includes(Reflect.getPrototypeOf(each)),
        }).toEqual({
          path,
          type: 'object',
          plain: true,
        })
      }
    },
  )

  test("the request's own property is gone with the request", async () => {
    const { port } = await start(framework, (app, api) => {
      app.use(api.authenticate())
      app.route(
        'GET',
        '/',
        handler((call) => {
          const { auth } = call.shown
          call.shown['auth'] = { kind: 'direct', scopes: ['vandal'] }
          call.json((auth as AuthContext).scopes)
        }),
      )
    })
    const headers = [bearer(tokens.direct)]
    for (let times = 0; times < 2; times++) expect((await ask(port, { headers })).body).toBe('["orders:read","orders:write"]')
  })

  const forged = {
    kind: 'direct',
    actor: null,
    subject: { id: 'root' },
    scopes: ['orders:refund'],
    tokenScopes: ['orders:refund'],
    claims: {},
  }

  test.each(['before', 'after'])("another library's property, set %s authenticate(), satisfies no guard", async (when) => {
    let ran = 0
    const { port } = await start(framework, (app, api) => {
      const forge = step((call) => Object.assign(call.shown, { auth: forged }))
      app.use(...(when === 'before' ? [forge, api.authenticate()] : [api.authenticate(), forge]))
      app.route(
        'GET',
        '/',
        api.guard({ scopes: 'orders:refund', kind: 'direct' }),
        step(() => ran++),
      )
    })
    expect((await ask(port, { headers: [bearer(tokens.direct)] })).status).toBe(403)
    expect((await ask(port, { headers: [bearer(tokens.delegated)] })).status).toBe(403)
    expect((await ask(port)).status).toBe(401)
    expect(ran).toBe(0)
  })

  test("another library's property instead of authenticate(), or on an anonymous call, satisfies no guard", async () => {
    let ran = 0
    const { port } = await start(framework, (app, api) => {
      app.use(step((call) => Object.assign(call.shown, { auth: forged })))
      app.route(
        'GET',
        '/without',
        api.guard(),
        step(() => ran++),
      )
      app.use(api.authenticate({ optional: true }))
      app.use(step((call) => Object.assign(call.shown, { auth: forged })))
      app.route(
        'GET',
        '/anonymous',
        api.guard(),
        step(() => ran++),
      )
    })
    expect((await ask(port, { path: '/without' })).status).toBe(500)
    expect((await ask(port, { path: '/anonymous' })).status).toBe(401)
    expect(ran).toBe(0)
  })

  test('claims that aim at prototypes do nothing', async () => {
    const { port } = await start(framework, (app, api) => {
      app.use(api.authenticate())
      app.route(
        'GET',
        '/',
        api.guard({ claims: { department: 'sales' } }),
        handler((call) => call.json('in')),
      )
      app.route(
        'GET',
        '/claims',
        handler((call) => {
          const context = api.contextOf(call.request)
          call.json({
            names: Object.keys(context?.claims ?? {}),
            own: reachableNames(context),
            inherited: Reflect.get(context?.claims ?? {}, 'department') ?? null,
          })
        }),
      )
    })
    const payload = (more: string) => {
      const [, part = ''] = issuer.token().split('.')
      const claims = Buffer.from(part, 'base64url').toString()
      return bearer(issuer.token({ payload: `${claims.slice(0, -1)},${more}}` }))
    }
    const attacks = [
      '"__proto__":{"department":"sales","polluted":true,"act":{"sub":"x"}}',
      '"constructor":{"prototype":{"department":"sales","polluted":true}}',
      '"profile":{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
      '"\\u005f_proto__":{"department":"sales","polluted":true}',
      '"act":{"sub":"agent-1","__proto__":{"sub":"admin","polluted":true}}',
    ]
    for (const attack of attacks) {
      const headers = [payload(attack)]
      expect((await ask(port, { headers })).status).toBe(403)
      const answer = await ask(port, { path: '/claims', headers })
      expect(answer.status).toBe(200)
      const { names, own, inherited } = JSON.parse(answer.body) as Record<string, unknown>
      expect(names).not.toContain('__proto__')
      expect(own).not.toContain('__proto__')
      expect(inherited).toBeNull()
      expect(Reflect.get({}, 'polluted')).toBeUndefined()
      expect(Reflect.get([], 'polluted')).toBeUndefined()
      expect(Object.hasOwn(Object.prototype, 'department')).toBe(false)
    }
    // An actor whose id stands on a prototype only has none.
    expect((await ask(port, { headers: [payload('"act":{"__proto__":{"sub":"admin"}}')] })).status).toBe(401)
  })
})

function reachableNames(value: unknown): readonly string[] {
  return [...reachable(value).keys()].flatMap((each) => Reflect.ownKeys(each).map(String))
}

test("functions of an issuer's options cannot change the claims that they are given", async () => {
  const given: string[] = []
  const options: IssuerOptions = custom({
    issuer: issuer.issuer,
    audience: issuer.audience,
    jwks,
    tokenTypes: ['at+jwt'],
    actor: {
      read: (claims) => {
        given.push(JSON.stringify(claims))
        for (const each of reachable(claims).keys()) vandalize(each)
        return claims['x_actor'] === undefined ? null : { sub: 'agent-1' }
      },
    },
    kind: (claims) => {
      given.push(JSON.stringify(claims))
      for (const each of reachable(claims).keys()) vandalize(each)
      return 'delegation'
    },
  })
  const [framework] = FRAMEWORKS
  if (framework === undefined) throw new Error('no framework')
  const api = framework.resourceServer({ issuers: [options], cache: false })
  const token = issuer.token({ claims: { x_actor: true, profile: { names: ['a'] } } })
  const first = await api.verify(token)
  expect(await api.verify(token)).toEqual(first)
  expect(first).toMatchObject({ kind: 'delegation', subject: { id: 'user-1' }, claims: { profile: { names: ['a'] } } })
  expect(given).toHaveLength(4)
  expect(new Set(given).size).toBe(1)
})

test('hooks cannot change the context that they are asked about', async () => {
  const [framework] = FRAMEWORKS
  if (framework === undefined) throw new Error('no framework')
  const spoil = (context: AuthContext) => {
    for (const each of reachable(context).keys()) vandalize(each)
    return true
  }
  const { port } = await start(
    framework,
    (app, api) => {
      app.use(api.authenticate())
      app.route(
        'GET',
        '/',
        api.guard({ check: spoil }),
        framework.handler((call) => call.json(api.contextOf(call.request))),
      )
    },
    { delegation: [{ id: 'spoiled', kind: 'delegation', actor: 'any', scopes: 'all', maxDepth: 8, when: spoil }] },
  )
  const headers = [bearer(tokens.delegated)]
  const first = await ask(port, { headers })
  expect(first.status).toBe(200)
  expect(JSON.parse(first.body)).toMatchObject({ kind: 'delegation', rule: 'spoiled', scopes: ['orders:read', 'orders:write'] })
  expect((await ask(port, { headers })).body).toBe(first.body)
})
