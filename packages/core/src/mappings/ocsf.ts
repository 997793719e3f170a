import type { AuditEvent, AuditParty } from '../audit/event.js'
import { membersOf, optional, stringAt } from '../config-shape.js'
import type { JsonObject, JsonValue } from '../token/json.js'
import { consentOf } from './consent.js'
import { epochMilliseconds } from './epoch.js'
import { REGISTERED_METHODS } from './http-methods.js'
import { isIpAddress } from './ip-address.js'
import { actingParty, aiAgentOf, isNamed, type NamedParty } from './parties.js'
import { type Severity, severityOf } from './severity.js'
import { traceContextOf } from './trace-context.js'

/** Version of the mapping to OCSF: a minor one adds attributes, a major one changes what is there. Independent of the native schema's. */
export const OCSF_MAPPING_VERSION = '1.1'

/** The version of the Open Cybersecurity Schema Framework that the mapping follows. */
export const OCSF_VERSION = '1.9.0'

/** Options of {@link toOcsf} and {@link toOcsfImpersonation}. */
export interface OcsfOptions {
  /** Name of the API that made the event, a non-empty string: no event says it. Default: not said; of an impersonation `behalf`. */
  readonly service?: string
}

type Pair = readonly [id: number, caption: string]

/** What a value is called where OCSF wants one and the event has none; the caption that OCSF gives to the id 0. */
const UNKNOWN = 'Unknown'
const PRODUCT = 'behalf'

const SEVERITIES: Readonly<Record<Severity, Pair>> = { info: [1, 'Informational'], warn: [2, 'Low'], error: [3, 'Medium'] }

/** What a method does by its definition (RFC 9110 9.3, RFC 5789). POST is what the application makes of it: it is not guessed at. */
const ACTIVITIES: ReadonlyMap<string, Pair> = new Map([
  ['GET', [2, 'Read']],
  ['HEAD', [2, 'Read']],
  ['PUT', [3, 'Update']],
  ['PATCH', [3, 'Update']],
  ['DELETE', [4, 'Delete']],
])

const SUCCESS: Pair = [1, 'Success']
const FAILURE: Pair = [2, 'Failure']

/**
 * An event as API Activity (class 6003) of OCSF: every attribute stands in `docs/audit-mappings.md`. What OCSF has no place for,
 * and `subject` and `actor` as they are, stand in `unmapped`.
 *
 * @throws {ConfigError} for an unknown or wrong option; never for a valid event
 */
export function toOcsf(event: AuditEvent, options: OcsfOptions = {}): JsonObject {
  const service = serviceOf(options)
  const [activityId, activity] = activityOf(event)
  const trace = traceContextOf(event)
  return {
    metadata: metadataOf(event, event.id, trace !== null),
    ...classOf([6, 'Application Activity'], [6003, 'API Activity'], [activityId, activity]),
    ...headOf(event, outcomeOf(event)),
    ...whoOf(event),
    api: { operation: operationOf(event), ...(service !== null && { service: { name: service } }) },
    ...transportOf(event),
    ...(isNamed(event.subject) && { resources: [resourceOf(event.subject)] }),
    ...(trace !== null && { trace: { uid: trace.traceId } }),
    unmapped: unmappedOf(event),
  }
}

/**
 * An impersonation as Authentication, Account Switch (class 3002, type 300207) of OCSF: somebody begins to act as somebody else.
 * A stateless token has no login to record, so **the caller decides what is first**: the first event of a `token.id`, of a
 * `grantId`, of a pair of parties in an hour. Every event of kind `impersonation` can be mapped.
 *
 * Its `metadata.uid` is the event's id with `:300207` behind it, since the API Activity of the same event has the id itself.
 *
 * @returns `null` for an event of another kind
 * @throws {ConfigError} for an unknown or wrong option; never for a valid event
 */
export function toOcsfImpersonation(event: AuditEvent, options: OcsfOptions = {}): JsonObject | null {
  const service = serviceOf(options)
  if (event.kind !== 'impersonation' || !isNamed(event.subject)) return null
  return {
    metadata: { ...metadataOf(event, `${event.id}:300207`, false), original_event_uid: event.id },
    ...classOf([3, 'Identity & Access Management'], [3002, 'Authentication'], [7, 'Account Switch']),
    ...headOf(event, event.decision === 'refuse' ? FAILURE : SUCCESS),
    account_switch_type_id: 2,
    account_switch_type: 'Impersonate',
    user: userOf(event.subject),
    service: { name: service ?? PRODUCT },
    ...whoOf(event),
    ...transportOf(event),
    unmapped: unmappedOf(event),
  }
}

function serviceOf(options: OcsfOptions): string | null {
  return optional(membersOf(options, 'OCSF options', ['service']), 'service', 'OCSF options', stringAt, null)
}

function metadataOf(event: AuditEvent, uid: string, traced: boolean): JsonObject {
  const profiles = [
    'security_control',
    ...(aiAgentOf(actingParty(event)) !== null ? ['ai_operation'] : []),
    ...(traced ? ['trace'] : []),
  ]
  return {
    version: OCSF_VERSION,
    product: { name: PRODUCT, vendor_name: PRODUCT },
    profiles,
    uid,
    event_code: event.type,
    correlation_uid: event.requestId,
    log_version: event.v,
    ...(event.tenant !== null && { tenant_uid: event.tenant }),
  }
}

function classOf([categoryId, category]: Pair, [classId, name]: Pair, [activityId, activity]: Pair): JsonObject {
  return {
    category_uid: categoryId,
    category_name: category,
    class_uid: classId,
    class_name: name,
    activity_id: activityId,
    activity_name: activity,
    type_uid: classId * 100 + activityId,
    // OCSF captions the type of activity 99 with `Other`, while the activity's own name is the source's word.
    type_name: `${name}: ${activityId === 99 ? 'Other' : activity}`,
  }
}

function activityOf({ http: { method } }: AuditEvent): Pair {
  return ACTIVITIES.get(method) ?? (method === 'OTHER' ? [0, UNKNOWN] : [99, method])
}

/** When, how bad, what came of it, and what was decided. */
function headOf(event: AuditEvent, [statusId, status]: Pair): JsonObject {
  const [severityId, severity] = SEVERITIES[severityOf(event)]
  const denied = event.decision === 'refuse'
  return {
    time: epochMilliseconds(event.time),
    severity_id: severityId,
    severity,
    status_id: statusId,
    status,
    ...(event.reason !== null && { status_code: event.reason }),
    ...(event.result !== null && { status_detail: event.result }),
    action_id: denied ? 2 : 1,
    action: denied ? 'Denied' : 'Allowed',
    disposition_id: denied ? 2 : 1,
    disposition: denied ? 'Blocked' : 'Allowed',
    ...(event.rule !== null && { policy: { uid: event.rule } }),
  }
}

function outcomeOf({ decision, result }: AuditEvent): Pair {
  switch (result) {
    case 'completed':
      return SUCCESS
    case 'failed':
    case 'refused':
    case 'not_run':
      return FAILURE
    case 'aborted': // the handler may have done its work
      return [99, result]
    default: // `unknown`; or a decision, and then only a refusal is the end of the matter
      return decision === 'refuse' ? FAILURE : [0, UNKNOWN]
  }
}

/**
 * An AI agent goes to `ai_agent`, and then `actor` is the principal whose authority it uses; a person's or a service's delegation
 * points the other way: `actor` is who acts.
 */
function whoOf(event: AuditEvent): JsonObject {
  const acting = actingParty(event)
  const agent = aiAgentOf(acting)
  return agent === null ? { actor: actorOf(acting) } : { actor: actorOf(event.subject), ai_agent: { uid: agent.id } }
}

function actorOf(party: AuditParty | null): JsonObject {
  if (!isNamed(party)) return { user: { name: UNKNOWN, type_id: 0, type: UNKNOWN } }
  // `app_uid` is deprecated since 1.9 in favour of `application`, which older readers do not know.
  return party.type === 'client' ? { app_uid: party.id, application: { uid: party.id } } : { user: userOf(party) }
}

function userOf({ id, issuer, type }: NamedParty): JsonObject {
  const [typeId, caption]: Pair = type === 'user' ? [1, 'User'] : type === 'client' ? [4, 'Service'] : [0, UNKNOWN]
  return { uid: id, ...(issuer !== null && { domain: issuer }), type_id: typeId, type: caption }
}

function resourceOf({ id, issuer, type }: NamedParty): JsonObject {
  return {
    uid: id,
    ...(issuer !== null && { namespace: issuer }),
    type: type === 'client' ? 'client' : 'user',
    role_id: 3,
    role: 'Affected',
  }
}

function operationOf({ http: { method, route } }: AuditEvent): string {
  return route === null ? method : `${method} ${route}`
}

/** Where from, and the HTTP exchange. What proxies say of the way stands in `unmapped` alone: it is not to be trusted. */
function transportOf({ net: { peer, userAgent }, http: { method, status, durationMilliseconds } }: AuditEvent): JsonObject {
  const request = {
    ...(REGISTERED_METHODS.has(method) && { http_method: method }),
    ...(userAgent !== null && { user_agent: userAgent }),
  }
  const latency = Math.round(durationMilliseconds ?? Number.NaN)
  return {
    src_endpoint: peer !== null && isIpAddress(peer) ? { ip: peer } : { name: peer || UNKNOWN },
    ...(Object.keys(request).length > 0 && { http_request: request }),
    ...(status !== null && { http_response: { code: status, ...(Number.isSafeInteger(latency) && { latency }) } }),
  }
}

function unmappedOf(event: AuditEvent): Readonly<Record<string, JsonValue>> {
  const { kind, subject, actor, chain, stage, decision, rule, scopes, clientId, tenant, grantId, notices } = event
  const { peer, forwarded, callerRequestId } = event.net
  const { method, route, durationMilliseconds } = event.http
  const consent = consentOf(event)
  return {
    delegation: { kind, subject, actor, chain, stage, decision, rule, consent, scopes, clientId, tenant, grantId, notices },
    behalf: {
      mapping: OCSF_MAPPING_VERSION,
      token: event.token,
      keys: event.keys,
      http: { method, route, durationMilliseconds },
      net: { peer, forwarded, callerRequestId },
      traceparent: event.trace.traceparent,
    },
  }
}
