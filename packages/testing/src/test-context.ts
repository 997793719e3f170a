import type { AuthContext, DelegatedContext, DirectContext, JsonValue, Party } from '@behalf/core'
import { deepFreeze } from './deep-freeze.js'

/** A party by its id, or with more members. */
export type TestParty = string | (Partial<Party> & { readonly id: string })

/** What a test context says; everything else is filled in. */
export interface TestContextOptions {
  /** Default `direct`. */
  readonly kind?: AuthContext['kind']
  /** Default `user-1`, of the token's issuer and tenant. */
  readonly subject?: TestParty
  /** The current actor of a delegated context. Default `support-1`. */
  readonly actor?: TestParty
  /** Prior actors, newest first. */
  readonly priorActors?: readonly TestParty[]
  /** Effective scopes. */
  readonly scopes?: readonly string[]
  /** Scopes as granted. Default: the effective ones. */
  readonly tokenScopes?: readonly string[]
  /** Issuer of the token, and name space of the subject. Default `https://as.example.test`. */
  readonly issuer?: string
  /** Default `client-1`. */
  readonly clientId?: string
  /** Tenant of the token, and of the subject unless that says another. Default: none. */
  readonly tenant?: string
  /** Default: none. */
  readonly grantId?: string
  /** The rule that admitted a delegated call. Default `test`. */
  readonly rule?: string
  /** What the rule's `when` told of a consent, of a delegated context. Default: nothing. */
  readonly consent?: Partial<NonNullable<AuthContext['consent']>>
  /** Authorization details (RFC 9396). Default: none. */
  readonly authorizationDetails?: AuthContext['authorizationDetails']
  /** Claims to add to `iss` and `sub`, or to put in their place. */
  readonly claims?: Readonly<Record<string, JsonValue>>
  /** Claims with authority beside scopes, of a delegated context. */
  readonly unnarrowed?: Readonly<Record<string, JsonValue>>
}

/**
 * A frozen context as `authenticate()` makes them, for unit tests of handlers without a server. Nothing is verified, and a
 * guard does not accept it: guards read their server's own record.
 */
export function testContext(options?: TestContextOptions & { readonly kind?: 'direct' }): DirectContext
export function testContext(options: TestContextOptions & { readonly kind: 'impersonation' | 'delegation' }): DelegatedContext
export function testContext(options: TestContextOptions = {}): AuthContext {
  const { kind = 'direct', issuer = 'https://as.example.test' } = options
  const tenant = options.tenant ?? null
  const subject = party(options.subject ?? 'user-1', { issuer, tenant })
  const chain =
    kind === 'direct' ? [] : [options.actor ?? 'support-1', ...(options.priorActors ?? [])].map((each) => party(each, {}))
  const scopes = [...new Set(options.scopes ?? [])].sort()
  const common = {
    subject,
    chain,
    mayAct: null,
    scopes,
    tokenScopes: [...new Set(options.tokenScopes ?? scopes)].sort(),
    clientId: options.clientId ?? 'client-1',
    grantId: options.grantId ?? null,
    tenant,
    wouldRefuse: null,
    authorizationDetails: (options.authorizationDetails ?? []).map(withoutPrototype),
    notices: [],
    token: {
      issuer,
      audience: ['https://api.example.test'],
      id: 'test-token',
      type: 'at+jwt',
      issuedAt: 1790000000,
      expiresAt: 1790000600,
      keyId: 'test-key',
      algorithm: 'EdDSA',
    },
    claims: withoutPrototype({ iss: issuer, sub: subject.id, ...options.claims }),
  }
  const [actor] = chain
  if (kind === 'direct' || actor === undefined)
    return deepFreeze({ kind: 'direct', actor: null, rule: null, consent: null, ...common })
  return deepFreeze({
    kind,
    actor,
    rule: options.rule ?? 'test',
    consent: options.consent === undefined ? null : { ...NO_CONSENT, ...options.consent },
    unnarrowed: withoutPrototype(options.unnarrowed ?? {}),
    ...common,
  })
}

const NO_CONSENT = { consentId: null, expiresAt: null, ticket: null, reason: null } as const

function party(given: TestParty, defaults: Partial<Party>): Party {
  const named = typeof given === 'string' ? { id: given } : given
  return {
    idClaim: 'sub',
    issuer: null,
    type: null,
    profiles: [],
    tenant: null,
    claims: withoutPrototype({}),
    ...defaults,
    ...named,
  }
}

function withoutPrototype<T extends object>(members: T): T {
  return Object.assign(Object.create(null), structuredClone(members)) // what is frozen later must not be the caller's
}
