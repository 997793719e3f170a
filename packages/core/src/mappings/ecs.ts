import type { AuditEvent, AuditParty } from '../audit/event.js'
import type { JsonObject } from '../token/json.js'
import { consentOf } from './consent.js'
import { isIpAddress } from './ip-address.js'
import { isNamed, type NamedParty } from './parties.js'
import { traceContextOf } from './trace-context.js'

/** Version of the mapping to ECS: a minor one adds fields, a major one changes what is there. Independent of the native schema's. */
export const ECS_MAPPING_VERSION = '1.1'

/** The version of the Elastic Common Schema that the mapping follows. */
export const ECS_VERSION = '9.3.0'

const NANOSECONDS_PER_MILLISECOND = 1_000_000

/**
 * An event as a document of ECS: every field stands in `docs/audit-mappings.md`. `user.*` is who acts, `user.effective.*` whose
 * authority is used; `user.target.*` is somebody who is managed, and is never written. What ECS has no field for stands under
 * `behalf.*`, a name of our own.
 */
export function toEcs(event: AuditEvent): JsonObject {
  const trace = traceContextOf(event)
  return {
    '@timestamp': event.time,
    ecs: { version: ECS_VERSION },
    event: eventOf(event),
    http: {
      request: { id: event.requestId, method: event.http.method },
      ...(event.http.status !== null && { response: { status_code: event.http.status } }),
    },
    ...someMembers('user', whoOf(event)),
    ...someMembers('related', relatedOf(event)),
    ...someMembers('source', sourceOf(event)),
    ...(event.net.userAgent !== null && { user_agent: { original: event.net.userAgent } }),
    ...(trace !== null && { trace: { id: trace.traceId } }),
    ...(event.rule !== null && { rule: { id: event.rule } }),
    behalf: ownOf(event),
  }
}

/** A field set, where it has a field at all. */
function someMembers(name: string, fields: JsonObject): JsonObject {
  return Object.keys(fields).length > 0 ? { [name]: fields } : {}
}

function eventOf(event: AuditEvent): JsonObject {
  const nanoseconds = Math.round((event.http.durationMilliseconds ?? Number.NaN) * NANOSECONDS_PER_MILLISECOND)
  return {
    kind: 'event',
    category: ['api'],
    type: ['access', event.decision === 'refuse' ? 'denied' : 'allowed'],
    outcome: outcomeOf(event),
    id: event.id,
    action: event.type,
    ...(event.reason !== null && { reason: event.reason }),
    module: 'behalf',
    dataset: 'behalf.audit',
    ...(Number.isSafeInteger(nanoseconds) && { duration: nanoseconds }),
  }
}

function outcomeOf({ decision, result }: AuditEvent): 'success' | 'failure' | 'unknown' {
  switch (result) {
    case 'completed':
      return 'success'
    case 'failed':
    case 'refused':
    case 'not_run':
      return 'failure'
    case 'aborted': // the handler may have done its work
      return 'unknown'
    default: // `unknown`; or a decision, and then only a refusal is the end of the matter
      return decision === 'refuse' ? 'failure' : 'unknown'
  }
}

function whoOf({ actor, subject }: AuditEvent): JsonObject {
  if (actor === null) return isNamed(subject) ? userOf(subject) : {}
  return { ...(isNamed(actor) && userOf(actor)), ...(isNamed(subject) && { effective: userOf(subject) }) }
}

function userOf({ id, issuer }: NamedParty): JsonObject {
  return { id, ...(issuer !== null && { domain: issuer }) }
}

function relatedOf({ actor, subject, chain, net: { peer } }: AuditEvent): JsonObject {
  const parties: readonly (AuditParty | null)[] = [actor, subject, ...chain]
  const ids = [...new Set(parties.filter(isNamed).map(({ id }) => id))]
  return { ...(ids.length > 0 && { user: ids }), ...(peer !== null && isIpAddress(peer) && { ip: [peer] }) }
}

/** The socket's peer alone: what proxies say of the way is not to be trusted. */
function sourceOf({ net: { peer } }: AuditEvent): JsonObject {
  return peer === null ? {} : { address: peer, ...(isIpAddress(peer) && { ip: peer }) }
}

function ownOf(event: AuditEvent): JsonObject {
  const { v, stage, decision, result, kind, subject, actor, chain, clientId, tenant, grantId } = event
  const { scopes, token, keys, notices } = event
  const { forwarded, callerRequestId } = event.net
  return {
    mapping: ECS_MAPPING_VERSION,
    ...{ v, stage, decision, result, consent: consentOf(event), kind, subject, actor, chain, clientId, tenant, grantId },
    ...{ scopes, token, keys },
    http: { route: event.http.route, durationMilliseconds: event.http.durationMilliseconds },
    net: { forwarded, callerRequestId },
    traceparent: event.trace.traceparent,
    notices,
  }
}
