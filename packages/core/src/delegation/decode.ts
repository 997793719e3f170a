import type { RefusalCode } from '../challenge.js'
import type { Limits } from '../limits.js'
import { isObject, type JsonObject, type JsonValue, parseStrictJson } from '../token/json.js'
import { readChain } from './actor-chain.js'
import { MALFORMED, readIdentifier } from './claim-mapping.js'
import { type ActorForm, callSynchronously, type DelegationKind, type Dialect } from './dialect.js'
import { type ClaimPath, claimAt, hasMarker } from './markers.js'
import { readMayAct } from './may-act.js'
import { isSameParty, type Party, UNKNOWN_PARTY, type UnknownParty } from './party.js'

/**
 * Something about a call that its handler and its record should know. `self_actor`: the token names an actor that is the subject
 * itself. `chain_incomplete`: the issuer does not say that it names every actor (`chain_complete`).
 */
export type Notice = 'self_actor' | 'chain_incomplete'

/** Who acts for whom, as a token says it under its issuer's dialect. */
export interface Delegation {
  readonly kind: 'direct' | DelegationKind
  readonly subject: Party
  /** `null` for direct calls. */
  readonly actor: Party | UnknownParty | null
  /** Every actor that the token names, current first; also the one that turned out to be the subject itself. */
  readonly chain: readonly (Party | UnknownParty)[]
  readonly mayAct: Party | null
  readonly notices: readonly Notice[]
}

const NOBODY: readonly never[] = Object.freeze([])
const NO_NOTICES: readonly Notice[] = Object.freeze([])
const INCOMPLETE: readonly Notice[] = Object.freeze(['chain_incomplete'])
const SELF: readonly Notice[] = Object.freeze(['self_actor'])
const SELF_INCOMPLETE: readonly Notice[] = Object.freeze(['self_actor', 'chain_incomplete'])

/**
 * Decodes who acts for whom from verified claims (RFC 8693 4.1 and the issuer's dialect).
 *
 * Whatever is present but cannot be read refuses the token: a call is never taken for direct because its delegation is
 * unreadable. Whether the actor may act is not judged here; that is the rules' part.
 *
 * @param claims verified claims, without prototypes
 * @param tokenSubject the party that the token's `sub` names
 * @param clientId the token's client, `null` where it names none
 */
export function decodeDelegation(
  claims: JsonObject,
  dialect: Dialect,
  tokenSubject: Party,
  clientId: string | null,
  limits: Limits,
): Delegation | RefusalCode {
  if (hasMarker(claims, dialect.foreign)) return 'delegation_foreign'
  const mayAct = readMayAct(claims, dialect, limits)
  if (mayAct === MALFORMED) return 'delegation_malformed'
  if (mayAct !== null && dialect.mayAct === 'refuse') return 'token_type_refused'

  const incomplete = isIncomplete(claims)
  let found: { readonly form: ActorForm; readonly value: JsonValue } | null = null
  for (const form of dialect.forms) {
    const value = foundBy(claims, form, limits)
    if (value === undefined) continue
    if (found !== null) return 'delegation_ambiguous'
    found = { form, value }
  }
  if (found === null) {
    if (dialect.forms.some((form) => form.required)) return 'delegation_missing'
    // An issuer's subject token says who may act, and nobody does: it is a grant, not an access token.
    if (mayAct !== null && dialect.mayAct === 'refuse_without_act') return 'token_type_refused'
    const notices = incomplete ? INCOMPLETE : NO_NOTICES
    return { kind: 'direct', subject: tokenSubject, actor: null, chain: NOBODY, mayAct, notices }
  }

  const parties = readParties(found.value, found.form, claims, dialect, tokenSubject, limits)
  if (parties === MALFORMED) return 'delegation_malformed'
  const { subject } = parties
  const chain = Object.freeze(parties.chain.map((party) => clientTyped(party, clientId, tokenSubject.issuer)))
  const [actor] = chain
  if (actor === undefined) return 'delegation_malformed'

  const self = actor.id !== null && isSameParty(actor, subject)
  const notices = noticesOf(self, incomplete)
  if (
    self &&
    found.form.selfIsDirect &&
    chain.length === 1 &&
    !incomplete && // somebody else may have acted before
    addsNothing(actor, subject, dialect.mapping.profiles?.claim ?? 'sub_profile')
  ) {
    return { kind: 'direct', subject, actor: null, chain, mayAct, notices }
  }
  const kind =
    typeof dialect.kind === 'string'
      ? dialect.kind
      : callSynchronously(() => (dialect.kind as (c: JsonObject) => unknown)(claims))
  if (kind !== 'impersonation' && kind !== 'delegation') return 'delegation_malformed'
  return { kind, subject, actor, chain, mayAct, notices }
}

/**
 * Whether the issuer says something else than that its chain of actors is complete (`chain_complete`, draft-mcguinness-oauth-actor-profile).
 * Issuers that say nothing promise nothing, and nothing is made of that.
 */
function isIncomplete({ chain_complete: complete }: JsonObject): boolean {
  return complete !== undefined && complete !== true
}

function noticesOf(self: boolean, incomplete: boolean): readonly Notice[] {
  if (self) return incomplete ? SELF_INCOMPLETE : SELF
  return incomplete ? INCOMPLETE : NO_NOTICES
}

/** Whether verified claims carry delegation at all, readable or not, of this dialect or another; `may_act` included. */
export function carriesDelegation(claims: JsonObject, dialect: Dialect, limits: Limits): boolean {
  return hasMarker(claims, MAY_ACT) || namesActor(claims, dialect, limits)
}

/** Whether verified claims say that somebody acts, readable or not, in this dialect or another. */
export function namesActor(claims: JsonObject, dialect: Dialect, limits: Limits): boolean {
  return hasMarker(claims, dialect.markers) || dialect.forms.some((form) => foundBy(claims, form, limits) !== undefined)
}

const MAY_ACT: readonly ClaimPath[] = [['may_act']]

/** Stands for something that is present but cannot be read: no encoding can make an actor of it. */
const UNREADABLE = false

/** What a form finds in a token: a value, or `undefined` where nothing is present. */
function foundBy(claims: JsonObject, form: ActorForm, limits: Limits): JsonValue | undefined {
  if (form.path !== null) {
    const value = claimAt(claims, form.path) // `null` is a value: a mapper failed, so who acts is unknown
    if (value !== undefined) return value
    return hasMarker(claims, form.signs) || hasBrokenParent(claims, form.path) ? UNREADABLE : undefined
  }
  const read = form.read
  if (read === null) return undefined
  const value = callSynchronously(() => read(claims))
  if (value === null) return undefined
  // A reader that threw, or answered something that is no JSON, has not said "nobody".
  return callSynchronously(() => parseStrictJson(JSON.stringify(value), limits.jsonDepth)) ?? UNREADABLE
}

/** Whether something stands on the way to a claim that can hold none. */
function hasBrokenParent(claims: JsonObject, path: ClaimPath): boolean {
  if (path.length === 1) return false
  return path.slice(1).some((_, index) => {
    const parent = claimAt(claims, path.slice(0, index + 1))
    return parent !== undefined && !isObject(parent)
  })
}

interface Parties {
  readonly subject: Party
  readonly chain: readonly (Party | UnknownParty)[]
}

function readParties(
  value: JsonValue,
  form: ActorForm,
  claims: JsonObject,
  dialect: Dialect,
  tokenSubject: Party,
  limits: Limits,
): Parties | typeof MALFORMED {
  if (form.read !== null && value === 'unknown' && !form.reversed)
    return { subject: tokenSubject, chain: Object.freeze([UNKNOWN_PARTY]) }
  const chain = readChain(value, form, dialect.mapping, limits)
  if (chain === MALFORMED) return MALFORMED
  const [first] = chain
  if (first === undefined) return MALFORMED
  if (form.reversed) {
    // The target belongs to the token's issuer, and has no history of its own: nobody documents what that would mean.
    if (chain.length !== 1 || (first.issuer !== null && first.issuer !== tokenSubject.issuer)) return MALFORMED
    if (isObject(value) && Object.hasOwn(value, 'act_as')) return MALFORMED
    // Naming the token's own subject is naming nobody else, whatever else the claim says.
    const self = first.id === tokenSubject.id && first.idClaim === tokenSubject.idClaim
    const subject = self ? tokenSubject : Object.freeze({ ...first, issuer: tokenSubject.issuer })
    return { subject, chain: Object.freeze([tokenSubject]) }
  }
  if (form.tenantClaim === null) return { subject: tokenSubject, chain }
  const tenant = readIdentifier(claims, form.tenantClaim, limits)
  if (tenant === MALFORMED) return MALFORMED
  return { subject: tokenSubject, chain: Object.freeze([Object.freeze({ ...first, tenant }), ...chain.slice(1)]) }
}

/** RFC 9068 2.2: a client that acts in its own name is named by `sub` as by `client_id`. */
function clientTyped(party: Party | UnknownParty, clientId: string | null, tokenIssuer: string | null): Party | UnknownParty {
  const isClient =
    party.id !== null && party.idClaim === 'sub' && party.id === clientId && (party.issuer ?? tokenIssuer) === tokenIssuer
  return isClient && party.type === null ? Object.freeze({ ...party, type: 'client' as const }) : party
}

/** An actor that names a client, or a profile that its subject does not have or that was not understood, is more than the subject itself. */
function addsNothing(actor: Party | UnknownParty, subject: Party, profileClaim: string): boolean {
  const unread = ['client_id', 'sub_profile', profileClaim].some((name) => actor.claims[name] !== undefined)
  return !unread && actor.profiles.every((profile) => subject.profiles.includes(profile))
}
