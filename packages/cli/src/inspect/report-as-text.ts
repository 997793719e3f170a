import type { JsonObject, JsonValue, Party, UnknownParty } from '@behalf/core'
import type { UnverifiedCaller } from '@behalf/core/inspect'
import { escapeJson, isolated } from '../text/escape-text.js'
import { hideTokens } from '../text/hide-tokens.js'
import { numericDate } from '../text/relative-time.js'
import { shownText as shown } from '../text/shown-text.js'
import type { Style } from '../text/style.js'
import { padToWidth } from '../text/text-width.js'
import type { InspectionReport } from './inspection-report.js'

const LABEL_COLUMNS = 14
/** Longer claims are cut here; `--json` has them whole. */
const CLAIM_CHARACTERS = 300

/** The report for people, line by line; `verified` first. */
export function reportAsText(report: InspectionReport, nowMilliseconds: number, style: Style): readonly string[] {
  const { unverifiedHeader: header, unverifiedClaims: claims, unverifiedCaller: caller, embeddedClaims } = report.inspection
  return [
    style(report.verified ? 'green' : 'red', `verified: ${report.verified}`),
    labelled('signature', SIGNATURES[report.signature]),
    ...notCompared(report.notCompared),
    ...refusals(report, style),
    ...(caller === null ? [] : ['', ...callerLines(caller)]),
    ...(header === null || claims === null ? [] : tokenLines(header, claims, nowMilliseconds)),
    ...(claims === null ? [] : claimLines(claims, embeddedClaims)),
  ]
}

const SIGNATURES: Readonly<Record<InspectionReport['signature'], string>> = {
  holds: 'holds, by a key of the issuer',
  does_not_hold: 'does NOT hold by any key of the issuer',
  not_checked: 'not checked: it needs --jwks or --issuer, and a token that can be held against them',
  not_checkable: 'not checked: the keys cannot be read now',
}

const FLAGS: Readonly<Record<string, string>> = {
  issuer: '--issuer',
  audience: '--audience or --no-audience',
  client: '--client-id',
}

function notCompared(names: readonly string[]): readonly string[] {
  if (names.length === 0) return []
  return [labelled('not compared', `${names.join(', ')} (give ${names.map((name) => FLAGS[name]).join(', ')})`)]
}

function refusals({ refusals, verified }: InspectionReport, style: Style): readonly string[] {
  if (verified) return []
  if (refusals.length === 0) return [labelled('refusal', 'none that can be told from what was given')]
  return [
    '',
    'Would be refused:',
    ...refusals.map(({ code, status, detail, members, accepted }) => {
      const about = members.length === 0 ? '' : ` [${members.map(shown).join(', ')}]`
      const instead = accepted.length === 0 ? '' : `; accepted: ${accepted.map(shown).join(', ')}`
      return `  ${status} ${style('yellow', padToWidth(code, 20))} ${detail}${about}${instead}`
    }),
  ]
}

function callerLines(caller: UnverifiedCaller): readonly string[] {
  const { unverifiedChain: chain, unverifiedMayAct: mayAct, unverifiedActor: actor } = caller
  return [
    labelled('kind', caller.unverifiedKind === 'direct' ? 'direct (no actor is visible)' : caller.unverifiedKind),
    labelled('subject', partyText(caller.unverifiedSubject)),
    ...(actor === null ? [] : [labelled('actor', partyText(actor))]),
    ...chain.slice(1).map((party) => labelled('acted before', partyText(party))),
    ...(caller.notices.includes('self_actor') ? [labelled('notice', 'the token names an actor that is the subject itself')] : []),
    ...(caller.notices.includes('chain_incomplete') ? [labelled('notice', 'the token does not name every actor')] : []),
    ...(mayAct === null ? [] : [labelled('may act', partyText(mayAct))]),
    labelled('client', shown(caller.unverifiedClientId ?? '-')),
    ...optional('tenant', caller.unverifiedTenant),
    ...optional('grant', caller.unverifiedGrantId),
    labelled('scopes', shown(caller.unverifiedScopes.join(' ') || '-')),
    ...optional('only requested', caller.unverifiedRequestScopes.join(' ') || null),
  ]
}

function partyText(party: Party | UnknownParty): string {
  if (party.id === null) return '(somebody who is not named)'
  const more = [
    ...(party.type === null ? [] : [party.type]),
    ...(party.idClaim === 'sub' ? [] : [`by ${shown(party.idClaim)}`]),
    ...(party.issuer === null ? ['issuer not said'] : [`issuer ${shown(party.issuer)}`]),
    ...(party.profiles.length === 0 ? [] : [`profile ${shown(party.profiles.join(' '))}`]),
    ...(party.tenant === null ? [] : [`tenant ${shown(party.tenant)}`]),
  ]
  return `${shown(party.id)}  (${more.join(', ')})`
}

function tokenLines(header: JsonObject, claims: JsonObject, nowMilliseconds: number): readonly string[] {
  const time = (label: string, value: JsonValue | undefined) =>
    value === undefined ? [] : [labelled(label, numericDate(value, nowMilliseconds) ?? `${claimText(value)} (no time)`)]
  const times = [...time('issued', claims['iat']), ...time('not before', claims['nbf']), ...time('expires', claims['exp'])]
  return [...(times.length > 0 ? ['', ...times] : []), '', 'Header:', ...members(header)]
}

function claimLines(claims: JsonObject, embedded: readonly string[]): readonly string[] {
  return ['', 'Claims:', ...members(claims), ...embedded.map((name) => `  ${shown(name)}: (a token for another API, not shown)`)]
}

function members(object: JsonObject): readonly string[] {
  return Object.entries(object).map(([name, value]) => `  ${isolated(shown(name))}: ${isolated(claimText(value))}`)
}

function claimText(value: JsonValue | undefined): string {
  const text = escapeJson(hideTokens(JSON.stringify(value) ?? ''))
  return text.length <= CLAIM_CHARACTERS ? text : `${text.slice(0, CLAIM_CHARACTERS)}… (${text.length} characters, see --json)`
}

function optional(label: string, value: string | null): readonly string[] {
  return value === null ? [] : [labelled(label, shown(value))]
}

/** @param value fit for a terminal */
function labelled(label: string, value: string): string {
  return `${padToWidth(`${label}:`, LABEL_COLUMNS)} ${isolated(value)}`
}
