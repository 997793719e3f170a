import {
  type AuthContext,
  AuthError,
  type JsonValue,
  type Party,
  REFUSAL_CODES,
  type RefusalCode,
  type UnknownParty,
} from '@behalf/core'
import { type ChallengeOffer, refusalAnswer, type Scheme } from '@behalf/core/adapter'
import { expect } from 'vitest'
import type { CorpusCase, ExpectedParty } from './corpus-cases.js'
import type { Answer } from './corpus-servers.js'
import { OFFER } from './sender-constraint.js'

/** Judges what a server answered to a token of a case. */
export function judge(
  each: CorpusCase,
  answer: Answer,
  token: string,
  told: Told = { offer: OFFER, scheme: schemeOf(each) },
): void {
  if (each.expected.outcome === 'reject') judgeRefusal(each, answer, token, told)
  else judgeContext(each, answer)
}

/** How a refusal is told: what its server offers, and how the token came. */
export interface Told {
  readonly offer: ChallengeOffer | null
  readonly scheme: Scheme
}

function schemeOf({ presentation }: CorpusCase): Scheme {
  return presentation?.scheme?.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer'
}

/** Fields that Node and the frameworks add to every answer. */
const TRANSPORT = ['connection', 'date', 'keep-alive', 'x-powered-by']

function judgeRefusal({ expected, claims, header }: CorpusCase, answer: Answer, token: string, told: Told): void {
  const challenge = answer.headers['www-authenticate'] ?? ''
  const { code } = JSON.parse(answer.body) as { code: RefusalCode }
  expect({ status: answer.status, error: /error="([^"]*)"/.exec(challenge)?.[1] ?? null }, code).toEqual({
    status: expected.status,
    error: expected.error ?? null,
  })
  expect(REFUSAL_CODES).toContain(code)
  if (expected.code !== undefined) expect([expected.code].flat()).toContain(code)
  expect(REASONS[expected.reason ?? ''] ?? [code], `refused as ${expected.reason}`).toContain(code)

  // A refusal made here, of no token at all, is the same in every letter.
  const error = new AuthError(code)
  const fixed = refusalAnswer(told.offer === null ? error : error.toldBy(told.offer, told.scheme, null))
  const { headers, ...rest } = answer
  const ours = Object.fromEntries(Object.entries(headers).filter(([name]) => !TRANSPORT.includes(name)))
  expect({ ...rest, headers: ours }).toEqual(fixed)
  const said = JSON.stringify(answer)
  const known = JSON.stringify(fixed)
  const telling = [...token.split('.'), ...textsOf(claims), ...textsOf(header)].filter((text) => text.length >= LEAST_TELLING)
  for (const text of telling) if (!known.includes(text)) expect(said).not.toContain(text)
}

/** Shorter texts, such as `a` or `sub`, stand in any English sentence. */
const LEAST_TELLING = 6

/** Every text in a value; iterative, since a value may be nested deep. */
function textsOf(value: JsonValue): readonly string[] {
  const texts: string[] = []
  const left: (JsonValue | undefined)[] = [value]
  while (left.length > 0) {
    const next = left.pop()
    if (typeof next === 'string') texts.push(next)
    else if (typeof next === 'object' && next !== null) left.push(...Object.values(next))
  }
  return texts
}

const MALFORMED: readonly RefusalCode[] = ['delegation_malformed', 'token_malformed']
const MISUSED: readonly RefusalCode[] = [
  'token_type_refused',
  'claim_invalid',
  'claim_missing',
  'issuer_unknown',
  'audience_mismatch',
]

/** Codes that a reason may come out as: a case that is refused for another reason would show nothing. */
const REASONS: Readonly<Record<string, readonly RefusalCode[]>> = {
  act_malformed: MALFORMED,
  act_as_malformed: MALFORMED,
  act_too_deep: MALFORMED,
  act_missing: ['delegation_missing'],
  act_iss_missing: ['delegation_malformed'],
  foreign_delegation_marker: ['delegation_foreign'],
  duplicate_member: ['token_malformed', 'delegation_malformed'],
  payload_not_object: ['token_malformed'],
  crit_not_understood: ['token_malformed'],
  alg_not_allowed: ['algorithm_refused', 'token_malformed'],
  key_not_found: ['key_unknown', 'signature_invalid'],
  wrong_token_type: MISUSED,
  session_not_active: ['claim_invalid'],
  iss_mismatch: ['issuer_unknown'],
  aud_mismatch: ['audience_mismatch'],
  aud_malformed: ['claim_invalid'],
  sub_missing: ['claim_missing', 'claim_invalid'],
  sub_malformed: ['claim_invalid'],
  exp_missing: ['claim_missing'],
  exp_malformed: ['claim_invalid'],
  not_yet_valid: ['token_not_yet_valid'],
  scope_malformed: ['claim_invalid'],
  client_id_malformed: ['claim_invalid'],
  client_not_allowed: ['client_refused', 'claim_invalid'],
  actor_not_allowed: ['actor_unauthorized'],
  chain_incomplete: ['chain_incomplete'],
  status_malformed: ['claim_invalid'],
  binding_missing: ['binding_unsupported', 'sender_mismatch'],
  binding_unsupported: ['binding_unsupported'],
}

function judgeContext({ expected, claims, profile, id }: CorpusCase, answer: Answer): void {
  expect(answer.status, answer.body).toBe(200)
  const context = JSON.parse(answer.body) as AuthContext
  const { subject = { sub: null }, actor = null, chain = [] } = expected

  expect([expected.kind, ...(expected.kindAlternatives ?? [])]).toContain(context.kind)
  expect(asExpected(context.subject, subject, context.claims)).toEqual(subject)
  expect(context.subject.idClaim).toBe('sub')
  if (subject.type === undefined)
    expect(context.subject.type, `${id} (${profile}): not said to be an application`).not.toBe('client')
  expect(context.actor === null || actor === null ? context.actor : asExpected(context.actor, actor)).toEqual(actor)
  expect(context.chain.map((party, index) => asExpected(party, chain[index] ?? { sub: null, iss: null }))).toEqual(chain)
  if (context.kind === 'direct') expect(context.rule).toBeNull()
  else expect([context.actor, context.rule]).toEqual([context.chain[0], 'everybody'])

  if (expected.scopes !== undefined) expect(context.scopes).toEqual([...new Set(expected.scopes)].sort())
  if (expected.clientId !== undefined) expect(context.clientId).toBe(expected.clientId)
  const granted = grantedBy(context, claims)
  for (const word of expected.mustNotGrant ?? []) expect(granted).not.toContain(word)
}

/** A party in the words of what is expected of it, without members that are not. */
function asExpected(party: Party | UnknownParty, expected: ExpectedParty, claims: AuthContext['claims'] = {}): object {
  const byClient = party.idClaim === 'client_id'
  const all: Record<string, unknown> = {
    sub: byClient ? null : party.id,
    iss: party.issuer,
    profile: party.profiles,
    type: party.type,
    clientId: byClient ? party.id : party.claims['client_id'],
    tenantId: party.tenant,
    unknown: party.id === null && party.idClaim === null,
  }
  return Object.fromEntries(Object.keys(expected).map((name) => [name, Object.hasOwn(all, name) ? all[name] : claims[name]]))
}

/**
 * Every word by which a context grants something: effective scopes, roles and permissions. What is `unnarrowed` stands apart
 * from them, but may hold only what the token says at its top level.
 */
function grantedBy(context: AuthContext, claims: JsonValue): readonly string[] {
  const token = claims as { readonly [name: string]: JsonValue }
  const words = (value: JsonValue | undefined): readonly string[] => (value === undefined ? [] : textsOf(value))
  const unnarrowed = context.kind === 'direct' ? {} : context.unnarrowed
  return [
    ...context.scopes,
    ...['roles', 'permissions'].flatMap((name) => words(context.claims[name])),
    ...Object.entries(unnarrowed).flatMap(([name, value]) => words(value).filter((word) => !words(token[name]).includes(word))),
  ]
}
