import { listAt, membersOf, oneOrListAt, optional, stringAt, wordAt } from '../config-shape.js'
import { type ClaimMapping, profileWordAt } from '../delegation/claim-mapping.js'
import { ConfigError } from '../errors.js'

/** Where an issuer writes client, scopes, tenant, grant and party types. Names are top-level claims. */
export interface ClaimOptions {
  /** The client's claim, or several: the first present one counts. An empty list: no claim names it. Default `client_id`. */
  readonly client?: string | readonly string[]
  /** The scopes' claim (one space-separated string), or claim and format. `null`: none. Default `scope`. */
  readonly scopes?: string | { readonly claim: string; readonly format: 'string' | 'list' } | null
  /** Further scopes per tenant: in `claim`, under the token's own tenant, the list `member`. Needs `tenant`. */
  readonly tenantScopes?: { readonly claim: string; readonly member: string }
  /** The claim that names the tenant which the token is for. Default: none. */
  readonly tenant?: string
  /** The subject's home tenant, where it can differ from the token's. Default: the token's tenant. */
  readonly subjectTenant?: string
  /** The grant, session or delegation that the token stems from. */
  readonly grant?: string
  /** The session at the issuer, such as `sid`: needed where tokens are revoked by session. Default: none. */
  readonly session?: string
  /** A claim that tells applications from people, with its values for each. */
  readonly type?: { readonly claim: string; readonly client?: readonly string[]; readonly user?: readonly string[] }
  /**
   * The claim that classifies a party (default `sub_profile`); with `words`, what the vendor's own words mean, both sides in
   * lower case; `null`: not read, for issuers that write free text there. A claim of an actor that is not read, or has a word
   * that is not understood, stays in the actor's `claims`.
   */
  readonly profiles?: string | { readonly claim: string; readonly words: Readonly<Record<string, string>> } | null
  /** Scopes that begin so are requests to the issuer: no authority, and recorded by their prefix only. */
  readonly requestScopePrefixes?: readonly string[]
}

const MEMBERS = [
  'client',
  'scopes',
  'tenantScopes',
  'tenant',
  'subjectTenant',
  'grant',
  'session',
  'type',
  'profiles',
  'requestScopePrefixes',
] as const satisfies readonly (keyof ClaimOptions)[]

/** @throws {ConfigError} */
export function resolveClaims(options: unknown, where: string): ClaimMapping {
  const members = membersOf(options, where, MEMBERS)
  const mapping: ClaimMapping = {
    client: optional(members, 'client', where, clientAt, ['client_id']),
    scopes: optional(members, 'scopes', where, scopesAt, { claim: 'scope', format: 'string' as const }),
    tenantScopes: optional(members, 'tenantScopes', where, tenantScopesAt, null),
    tenant: optional(members, 'tenant', where, stringAt, null),
    subjectTenant: optional(members, 'subjectTenant', where, stringAt, null),
    grant: optional(members, 'grant', where, stringAt, null),
    session: optional(members, 'session', where, stringAt, null),
    type: optional(members, 'type', where, typeAt, null),
    profiles: optional(members, 'profiles', where, profilesAt, { claim: 'sub_profile', words: null }),
    requestScopePrefixes: optional(members, 'requestScopePrefixes', where, (value, at) => listAt(value, at, stringAt), []),
  }
  if (mapping.tenantScopes !== null && mapping.tenant === null) {
    throw new ConfigError(`${where}.tenantScopes needs ${where}.tenant: only the scopes of the token's own tenant count`)
  }
  return Object.freeze(mapping)
}

function clientAt(value: unknown, where: string): readonly string[] {
  return Array.isArray(value) && value.length === 0 ? [] : oneOrListAt(value, where, stringAt)
}

function scopesAt(value: unknown, where: string): ClaimMapping['scopes'] {
  if (value === null) return null
  if (typeof value === 'string') return { claim: stringAt(value, where), format: 'string' }
  const members = membersOf(value, where, ['claim', 'format'])
  return {
    claim: stringAt(members['claim'], `${where}.claim`),
    format: wordAt(members['format'], `${where}.format`, ['string', 'list']),
  }
}

function tenantScopesAt(value: unknown, where: string): ClaimMapping['tenantScopes'] {
  const members = membersOf(value, where, ['claim', 'member'])
  return { claim: stringAt(members['claim'], `${where}.claim`), member: stringAt(members['member'], `${where}.member`) }
}

function typeAt(value: unknown, where: string): ClaimMapping['type'] {
  const members = membersOf(value, where, ['claim', 'client', 'user'])
  const values = (each: unknown, at: string) => listAt(each, at, stringAt)
  if (!Object.hasOwn(members, 'client') && !Object.hasOwn(members, 'user')) {
    throw new ConfigError(`${where} needs client or user: the values of the claim that mean one or the other`)
  }
  return {
    claim: stringAt(members['claim'], `${where}.claim`),
    client: optional(members, 'client', where, values, []),
    user: optional(members, 'user', where, values, []),
  }
}

function profilesAt(value: unknown, where: string): ClaimMapping['profiles'] {
  if (value === null) return null
  if (typeof value === 'string') return { claim: stringAt(value, where), words: null }
  const members = membersOf(value, where, ['claim', 'words'])
  const words = membersOf(members['words'], `${where}.words`, Object.keys(members['words'] ?? {}))
  const known = Object.entries(words).map(([word, meaning]) => {
    const at = `${where}.words["${word}"]`
    return [profileWordAt(word, `the key of ${at}`), profileWordAt(meaning, at)] as const
  })
  if (known.length === 0) throw new ConfigError(`${where}.words is empty: name the vendor's words, or use profiles: null`)
  return { claim: stringAt(members['claim'], `${where}.claim`), words: Object.freeze(Object.fromEntries(known)) }
}
