import type { AuditEvent, AuthContext, JsonValue } from '@behalf/core'
import { createResourceServer } from '@behalf/core/adapter'
import { oauth } from '@behalf/core/issuers'
import { createSigningKey, memorySink, signCompact, sinkContract, testContext, testEvent } from '@behalf/testing'
import { describe, expect, it } from 'vitest'

const NOW_SECONDS = 1790000000
const ISSUER = 'https://as.example.test'
const KEY = createSigningKey('EdDSA')

/** A context and its events as a server makes them: what the doubles are compared with. */
async function real(kind: AuthContext['kind']) {
  const sink = memorySink()
  const server = createResourceServer({
    issuers: [
      oauth({
        issuer: ISSUER,
        audience: 'https://api.example.test',
        jwks: { keys: [KEY.jwk] },
        kind: kind === 'impersonation' ? 'impersonation' : 'delegation',
      }),
    ],
    delegation: [{ id: 'any', kind: ['impersonation', 'delegation'], actor: 'any', scopes: 'all', maxDepth: 8 }],
    audit: { sinks: [sink], record: 'always' },
    now: () => NOW_SECONDS * 1000,
  })
  const claims: Record<string, JsonValue> = {
    ...{ iss: ISSUER, aud: 'https://api.example.test', sub: 'user-1', client_id: 'client-1', jti: 'j' },
    ...{ iat: NOW_SECONDS, exp: NOW_SECONDS + 600, scope: 'orders:read', roles: ['admin'] },
    ...(kind !== 'direct' && { act: { sub: 'support-1', act: { sub: 'support-0' } } }),
  }
  const token = signCompact({ alg: 'EdDSA', typ: 'at+jwt', kid: KEY.kid }, JSON.stringify(claims), KEY)
  const key = {}
  await server.authenticate()({
    key,
    request: {
      ...{
        method: 'GET',
        wireMethod: 'GET',
        path: '/',
        url: '/',
        route: '/',
        authorization: [`Bearer ${token}`],
        peer: null,
        clientCertificate: null,
        raw: null,
      },
      header: () => null,
    },
    response: { status: 200, ended: false, header: () => null, setHeader() {}, onEnd() {} },
  })
  return { context: server.contextOf(key) as AuthContext, event: sink.events[0] as AuditEvent }
}

/** The names of all members, to their depth; of lists, what their first entry looks like. Open-ended members count as one. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])]
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value
  const members = Object.entries(value).map(([name, member]) => [
    name,
    ['claims', 'unnarrowed'].includes(name) ? 'open-ended' : shapeOf(member),
  ])
  return Object.fromEntries(members.sort(([one], [other]) => String(one).localeCompare(String(other))))
}

function unfrozen(value: object, path: string): string[] {
  return [
    ...(Object.isFrozen(value) ? [] : [path]),
    ...Object.entries(value).flatMap(([name, member]) =>
      typeof member === 'object' && member !== null ? unfrozen(member, `${path}.${name}`) : [],
    ),
  ]
}

describe('testContext()', () => {
  it('has exactly the members of a real direct context', async () => {
    expect(shapeOf(testContext({ scopes: ['orders:read'] }))).toEqual(shapeOf((await real('direct')).context))
  })

  it.each(['impersonation', 'delegation'] as const)('has exactly the members of a real %s', async (kind) => {
    const context = testContext({ kind, priorActors: ['support-0'], scopes: ['orders:read'] })
    expect(shapeOf(context)).toEqual(shapeOf((await real(kind)).context))
  })

  it('is frozen to its last member, as real ones are', async () => {
    const context = testContext({ kind: 'delegation', claims: { a: { b: [1] } }, unnarrowed: { roles: ['x'] } })
    expect(unfrozen(context, 'test')).toEqual([])
    expect(unfrozen((await real('delegation')).context, 'real')).toEqual([])
  })

  it('leaves what it was given as it is', () => {
    const claims = { nested: { list: [1] } }
    testContext({ claims })
    expect(Object.isFrozen(claims.nested)).toBe(false)
    expect(Object.isFrozen(claims.nested.list)).toBe(false)
  })

  it('has claims without a prototype, as real ones have', async () => {
    for (const context of [testContext(), (await real('direct')).context]) {
      expect(Object.getPrototypeOf(context.claims)).toBeNull()
      expect(Object.getPrototypeOf(context.subject.claims)).toBeNull()
    }
  })

  it('says what it was told, and fills in the rest', () => {
    const context = testContext({
      kind: 'impersonation',
      subject: { id: 'user-7', profiles: ['vip'] },
      actor: { id: 'support-7', issuer: 'https://staff.test' },
      priorActors: ['support-6'],
      scopes: ['b', 'a', 'b'],
      tokenScopes: ['c', 'b', 'a'],
      tenant: 't',
      grantId: 'g',
      rule: 'support-looks',
    })
    expect(context).toMatchObject({
      kind: 'impersonation',
      subject: { id: 'user-7', idClaim: 'sub', issuer: ISSUER, profiles: ['vip'], tenant: 't' },
      actor: { id: 'support-7', issuer: 'https://staff.test' },
      chain: [{ id: 'support-7' }, { id: 'support-6', issuer: null }],
      scopes: ['a', 'b'],
      tokenScopes: ['a', 'b', 'c'],
      tenant: 't',
      grantId: 'g',
      rule: 'support-looks',
      clientId: 'client-1',
    })
    expect(testContext()).toMatchObject({ kind: 'direct', actor: null, chain: [], rule: null, scopes: [] })
  })
})

describe('testEvent()', () => {
  it('has exactly the members of a real event', async () => {
    const { event } = await real('delegation')
    const names = (value: object) => Object.keys(value).sort()
    const double = testEvent()
    expect(names(double)).toEqual(names(event))
    for (const part of ['scopes', 'token', 'keys', 'http', 'net', 'trace', 'subject', 'actor'] as const) {
      expect([part, names(double[part] ?? {})]).toEqual([part, names(event[part] ?? {})])
    }
  })

  it('is frozen to its last member, as real ones are', async () => {
    expect(unfrozen((await real('delegation')).event, 'real')).toEqual([])
    expect(unfrozen(testEvent(), 'test')).toEqual([])
  })

  it('takes overrides, and has an id of its own', () => {
    expect(testEvent({ decision: 'refuse' }).decision).toBe('refuse')
    expect(testEvent().id).not.toBe(testEvent().id)
    expect(testEvent().id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
})

describe('memorySink()', () => {
  it('until() finds an event that is there, the oldest that fits', async () => {
    const sink = memorySink()
    const [one, two] = [testEvent({ rule: 'a' }), testEvent({ rule: 'a' })]
    sink.write(one)
    sink.write(two)
    expect(await sink.until((event) => event.rule === 'a')).toBe(one)
  })

  it('until() waits for one that fits, for everybody who waits', async () => {
    const sink = memorySink()
    const fitting = testEvent({ rule: 'b' })
    const waiting = [sink.until((event) => event.rule === 'b'), sink.until((event) => event.rule === 'b')]
    let answered = false
    void waiting[0]?.then(() => {
      answered = true
    })
    sink.write(testEvent({ rule: 'a' }))
    await new Promise((resolve) => setImmediate(resolve))
    expect(answered).toBe(false)
    sink.write(fitting)
    expect(await Promise.all(waiting)).toEqual([fitting, fitting])
    expect(sink.events).toHaveLength(2)
  })

  it('refuses on demand, and accepts again', () => {
    const sink = memorySink()
    sink.refuse()
    expect(() => sink.write(testEvent())).toThrow(/refuses/)
    expect(sink.events).toEqual([])
    sink.refuse(false)
    sink.write(testEvent())
    expect(sink.events).toHaveLength(1)
  })

  it('forgets on clear(), and refuses after close()', () => {
    const sink = memorySink()
    sink.write(testEvent())
    sink.clear()
    expect(sink.events).toEqual([])
    sink.close()
    expect(() => sink.write(testEvent())).toThrow(/closed/)
  })
})

describe('sinkContract()', () => {
  const failures = async (create: Parameters<typeof sinkContract>[0]) => {
    const failed: string[] = []
    for (const { name, run } of sinkContract(create)) await run().catch(() => failed.push(name))
    return failed.join(' | ')
  }
  const keeping = (keep: (events: AuditEvent[], event: AuditEvent) => void) => () => {
    const events: AuditEvent[] = []
    return { sink: { write: (event: AuditEvent) => keep(events, event) }, accepted: () => events }
  }

  it('is kept by a sink that keeps it', async () => {
    expect(await failures(keeping((events, event) => void events.push(event)))).toBe('')
  })

  it.each([
    ['loses events', keeping(() => {}), /keeps an accepted event/],
    ['turns them round', keeping((events, event) => void events.unshift(event)), /in the order/],
    [
      'leaves empty members out',
      keeping((events, { rule, ...event }) => void events.push((rule ? { ...event, rule } : event) as never)),
      /every optional part empty/,
    ],
    [
      'spoils text',
      keeping((events, event) => void events.push(JSON.parse(Buffer.from(JSON.stringify(event), 'latin1').toString('latin1')))),
      /text of any script/,
    ],
    ['keeps an event twice', keeping((events, event) => void events.push(event, event)), /keeps an accepted event/],
    [
      'throws',
      keeping(() => {
        throw new Error('no')
      }),
      /keeps an accepted event/,
    ],
  ])('is broken by a sink that %s', async (_, create, named) => {
    expect(await failures(create)).toMatch(named)
  })

  it('is broken by a sink that loses events on close', async () => {
    const create = () => {
      const events: AuditEvent[] = []
      return {
        sink: {
          write: (event: AuditEvent) => void events.push(event),
          close: () => {
            events.length = 0
          },
        },
        accepted: () => events,
      }
    }
    expect(await failures(create)).toBe('keeps on close what it accepted before')
  })
})
