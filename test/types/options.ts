/** Type tests: mistakes in rules and requirements that do not compile, and those that must. */
import type { DelegationRule, Requirement, ResourceServer, ResourceServerOptions } from '@behalf/core'
import { asgardeo, curity, custom, descope, oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import { resourceServer as koaServer } from '@behalf/koa'

const as = 'https://as.example.test'
const issuers = [oauth({ issuer: as, audience: 'https://api.example.test' })]

export const rules: readonly DelegationRule[] = [
  { id: 'all', kind: ['impersonation', 'delegation'], actor: 'any', scopes: 'all' },
  {
    id: 'agents',
    kind: 'delegation',
    issuer: [as],
    actor: [{ profile: 'ai_agent' }, { id: 'agent-7', issuer: as, idClaim: 'client_id' }],
    subject: { type: 'user' },
    tenant: 'acme',
    scopes: ['orders:*'],
    exceptScopes: 'orders:refund',
    methods: 'safe',
    maxLifetimeSeconds: 600,
    maxDepth: 2,
    // The context of a rule is a delegated one: its actor is never null.
    when: ({ actor, subject }, request) => actor.id !== subject.id && request.method === 'GET',
  },
]

const rule = { id: 'r', kind: 'delegation', actor: 'any', scopes: 'all' } as const
export const mistakenRules: readonly DelegationRule[] = [
  // @ts-expect-error no scopes: 'all' must be said
  { id: 'r', kind: 'delegation', actor: 'any' },
  // @ts-expect-error no actor: 'any' must be said
  { id: 'r', kind: 'delegation', scopes: 'all' },
  // @ts-expect-error no kind
  { id: 'r', actor: 'any', scopes: 'all' },
  // @ts-expect-error a direct call needs no rule
  { ...rule, kind: 'direct' },
  // @ts-expect-error a misspelt member
  { ...rule, scope: 'orders:read' },
  // @ts-expect-error a misspelt word
  { ...rule, methods: 'save' },
  // @ts-expect-error a misspelt member of a matcher
  { ...rule, actor: { ids: 'agent-7' } },
  // @ts-expect-error an actor is not named by a bare string
  { ...rule, actor: 'agent-7' },
  // @ts-expect-error a type that nobody has
  { ...rule, actor: { type: 'agent' } },
  // @ts-expect-error undefined must not become "everybody"
  { ...rule, subject: undefined },
  // @ts-expect-error undefined must not become "everybody"
  { ...rule, actor: { id: process.env['ACTOR'] } },
  // @ts-expect-error never an expression
  { ...rule, actor: { id: /agent-.*/ } },
  // @ts-expect-error only a boolean is an answer
  { ...rule, when: () => 'yes' },
  // @ts-expect-error a duration is a number of seconds
  { ...rule, maxLifetimeSeconds: '10m' },
]

export const requirements: readonly Requirement[] = [
  {},
  { scopes: 'orders:read', anyScope: ['a', 'b'], kind: ['direct', 'impersonation'], issuer: as, tenant: ['acme'] },
  {
    actor: { not: { profile: 'ai_agent' } },
    subject: { not: [{ type: 'client' }] },
    claims: { level: 3, mfa: true, team: ['a', 'b'] },
  },
  { check: async (context, request) => context.kind === 'direct' && request.peer !== null },
]

export const mistakenRequirements: readonly Requirement[] = [
  // @ts-expect-error a misspelt member
  { scope: 'orders:read' },
  // @ts-expect-error a misspelt kind
  { kind: 'delegated' },
  // @ts-expect-error a requirement has no 'any': leave the member out
  { actor: 'any' },
  // @ts-expect-error a misspelt member of a matcher
  { subject: { not: { typ: 'client' } } },
  // @ts-expect-error undefined must not become "everybody"
  { tenant: process.env['TENANT'] },
  // @ts-expect-error a claim is compared with plain values
  { claims: { team: { id: 1 } } },
  // @ts-expect-error only a boolean is an answer
  { check: () => 1 },
]

// The same options are the options of both adapters.
const options: ResourceServerOptions = { issuers, delegation: rules, audit: 'none' }
void [resourceServer(options), koaServer(options)]

export const mistakenOptions: readonly ResourceServerOptions[] = [
  // @ts-expect-error an API trusts somebody, or nobody can call it
  {},
  // @ts-expect-error a misspelt member
  { issuers, rules },
  // @ts-expect-error a misspelt mode
  { issuers, mode: 'dry-run' },
  // @ts-expect-error where records go must be said
  { issuers, audit: {} },
  // @ts-expect-error a sink can write
  { issuers, audit: { sinks: [{}] } },
  // @ts-expect-error there is no HMAC, and there will be none
  { issuers: [oauth({ issuer: as, audience: 'a', algorithms: ['HS256'] })] },
]

void [
  descope({ projectId: 'P2UcQcyxrjSA3mr6y0xZKRYI5oJz' }),
  asgardeo({ organization: 'bifrost', clientIds: ['client-1'] }),
  curity({ issuer: as, audience: 'test-web-api', actAs: true }),
  custom({ issuer: as, audience: 'a', tokenTypes: ['JWT'], actor: null }),
  custom({
    issuer: as,
    audience: 'a',
    tokenTypes: ['JWT'],
    actor: { claim: 'original_user', encoding: 'string' },
    kind: 'impersonation',
  }),
]
// @ts-expect-error custom() guesses nothing: the kind must be said where delegation is read
custom({ issuer: as, audience: 'a', tokenTypes: ['JWT'], actor: { claim: 'original_user' } })
// @ts-expect-error audience must be given, or be null
oauth({ issuer: as })
/** Never called: only its types count. */
export function openByMistake(api: ResourceServer): void {
  api.guard()
  api.guard({})
  // @ts-expect-error a requirement that turned out to be undefined must not open the route
  api.guard(undefined)
}
