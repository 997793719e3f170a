import { LRUCache } from 'lru-cache'
import { stringAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import { type Limits, MAX_SCOPE_TEXTS } from '../limits.js'
import { isIdentifier } from '../token/identifier.js'
import { isObject, type JsonObject, type JsonValue } from '../token/json.js'

/** Where one kind of issuer writes what this API needs to know, apart from delegation. All names are top-level claims. */
export interface ClaimMapping {
  /** The client, by the first of these claims that is present. Empty: no claim names it. */
  readonly client: readonly string[]
  /** Scopes: one space-separated string (RFC 8693 4.2) or a list. `null`: the issuer writes none. */
  readonly scopes: { readonly claim: string; readonly format: 'string' | 'list' } | null
  /** Scopes of single tenants: `claim` → tenant → `member` (a list); only those of the token's own tenant count. */
  readonly tenantScopes: { readonly claim: string; readonly member: string } | null
  readonly tenant: string | null
  /** The subject's home tenant, where it can differ from the token's. */
  readonly subjectTenant: string | null
  /** The grant, session or delegation that the token stems from. */
  readonly grant: string | null
  /** The session at the issuer, by which a token can be revoked. */
  readonly session: string | null
  /** The claim that tells people from applications, and its values. */
  readonly type: { readonly claim: string; readonly client: readonly string[]; readonly user: readonly string[] } | null
  /** The claim that classifies a party, and, where its words are the vendor's own, what they mean. `null`: not read. */
  readonly profiles: { readonly claim: string; readonly words: Readonly<Record<string, string>> | null } | null
  /** Scopes that begin so only ask the issuer for something; they hold personal data and are no authority here. */
  readonly requestScopePrefixes: readonly string[]
}

/** What a reader returns for a claim that is present but unreadable. */
export const MALFORMED: unique symbol = Symbol('malformed')
export type Malformed = typeof MALFORMED

/** The value of an own member; `undefined` where there is none. */
function own(claims: JsonObject, name: string | null | undefined): JsonValue | undefined {
  return name === null || name === undefined || !Object.hasOwn(claims, name) ? undefined : claims[name]
}

/** An optional identifier: `null` where the claim is absent. */
export function readIdentifier(claims: JsonObject, name: string | null, limits: Limits): string | null | Malformed {
  const value = own(claims, name)
  if (value === undefined) return null
  return isIdentifier(value, limits.identifierCharacters) ? value : MALFORMED
}

export function readClient(claims: JsonObject, mapping: ClaimMapping, limits: Limits): string | null | Malformed {
  const name = mapping.client.find((each) => own(claims, each) !== undefined)
  return readIdentifier(claims, name ?? null, limits)
}

/** The token's scopes as granted: sorted, without duplicates. No claim means no scopes, never all. */
export function readScopes(claims: JsonObject, mapping: ClaimMapping, limits: Limits): readonly string[] | Malformed {
  const { scopes, tenantScopes } = mapping
  const value = scopes === null ? undefined : own(claims, scopes.claim)
  // The clients of an issuer ask for the same scopes again and again.
  const text = tenantScopes === null && scopes?.format === 'string' && typeof value === 'string' ? value : null
  const known = text === null ? undefined : scopeTextsOf(limits).get(text)
  if (known !== undefined) return known
  const granted = scopes === null ? [] : wordsOf(value, scopes.format)
  const more = scopesOfTenant(claims, mapping)
  if (granted === MALFORMED || more === MALFORMED) return MALFORMED
  const all = [...new Set([...granted, ...more])].sort()
  if (!all.every((scope) => isIdentifier(scope, limits.identifierCharacters))) return MALFORMED
  Object.freeze(all)
  if (text !== null) scopeTextsOf(limits).set(text, all)
  return all
}

/** Scopes that the token has in its own tenant alone. */
function scopesOfTenant(claims: JsonObject, { tenantScopes, tenant }: ClaimMapping): readonly string[] | Malformed {
  const selected = own(claims, tenant)
  const tenants = own(claims, tenantScopes?.claim)
  if (tenantScopes === null || typeof selected !== 'string' || !isObject(tenants)) return []
  const ofTenant = own(tenants, selected)
  return wordsOf(isObject(ofTenant) ? own(ofTenant, tenantScopes.member) : undefined, 'list')
}

/** What was read of scope texts, for each server's limits. */
const scopeTexts = new WeakMap<Limits, LRUCache<string, readonly string[]>>()

function scopeTextsOf(limits: Limits): LRUCache<string, readonly string[]> {
  const known = scopeTexts.get(limits) ?? new LRUCache<string, readonly string[]>({ max: MAX_SCOPE_TEXTS })
  scopeTexts.set(limits, known)
  return known
}

function wordsOf(value: JsonValue | undefined, format: 'string' | 'list'): readonly string[] | Malformed {
  if (value === undefined) return []
  if (format === 'string') return typeof value === 'string' ? value.split(' ').filter((word) => word !== '') : MALFORMED
  return Array.isArray(value) && value.every((word) => typeof word === 'string') ? (value as string[]) : MALFORMED
}

/** The prefix by which a scope only asks the issuer for something; `null` for a scope that is authority. */
export function requestPrefixOf(scope: string, mapping: ClaimMapping): string | null {
  return mapping.requestScopePrefixes.find((prefix) => scope.startsWith(prefix)) ?? null
}

/** One word of a classification, as it can stand in `profiles`: lower case, no white space. Any other would never be met. */
export function profileWordAt(value: unknown, where: string): string {
  const word = stringAt(value, where)
  if (word !== lowerAscii(word) || /\s/.test(word))
    throw new ConfigError(`${where} must be one word in lower case, as profiles are compared`)
  return word
}

/**
 * The classification of a party: lower-cased words, in the order given. A claim that is present but unreadable is malformed:
 * rules may fence by profile, and a party that falls out of its class must not fall into a laxer rule.
 */
export function readProfiles(
  claims: JsonObject,
  mapping: ClaimMapping['profiles'],
  limits: Limits,
): readonly string[] | Malformed {
  const value = own(claims, mapping?.claim)
  if (mapping === null || value === undefined) return Object.freeze([])
  if (!isIdentifier(value, limits.identifierCharacters)) return MALFORMED
  const words = profileWords(value)
  const meaning = mapping.words
  const known =
    meaning === null ? words : words.flatMap((word) => (Object.hasOwn(meaning, word) ? [meaning[word] as string] : []))
  return Object.freeze([...new Set(known)])
}

/** Whether every word of a readable classification was understood; one that was not stays with the party's claims. */
export function profilesUnderstood(claims: JsonObject, mapping: ClaimMapping['profiles']): boolean {
  const value = own(claims, mapping?.claim)
  if (mapping === null || typeof value !== 'string') return true
  const { words } = mapping
  return words === null || profileWords(value).every((word) => Object.hasOwn(words, word))
}

function profileWords(value: string): readonly string[] {
  return value
    .split(' ')
    .filter((word) => word !== '')
    .map(lowerAscii)
}

const ASCII_UPPER = /[A-Z]/g

/** Only ASCII letters: full case folding would turn a foreign letter (the Kelvin sign) into a known word. */
function lowerAscii(word: string): string {
  return word.replace(ASCII_UPPER, (letter) => letter.toLowerCase())
}
