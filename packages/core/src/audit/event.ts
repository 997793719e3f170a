import { randomUUID } from 'node:crypto'
import type { RefusalCode } from '../challenge.js'
import type { AuthContext, Consent } from '../delegation/context.js'
import type { Notice } from '../delegation/decode.js'
import type { Party, UnknownParty } from '../delegation/party.js'
import type { RequestView } from '../request-view.js'

/** Where in a request's way something was decided; `response` for outcomes. */
export type AuditStage = 'credentials' | 'verify' | 'bind' | 'rules' | 'requirement' | 'response'

/**
 * What became of an admitted call, judged on its response alone. `unknown`: the process ended before the response did; it is
 * written by a journal that finds such a decision when it starts, never by the core.
 */
export type AuditResult = 'completed' | 'failed' | 'aborted' | 'refused' | 'not_run' | 'unknown'

/** A party as it is recorded: identity, no further claims. */
export type AuditParty = Omit<Party, 'claims'> | Omit<UnknownParty, 'claims'>

/**
 * The record of a decision or an outcome, native schema 1.1: documented, with its JSON Schema, in `docs/audit-events.md`.
 * Every member is always there; `null` says that it is not known or does not apply. Deeply frozen: sinks share one object.
 */
export interface AuditEvent {
  /** Version of the schema; members may be added under `1.x`, none is renamed. Older records say `1.0`, and have no `consent`. */
  readonly v: '1.1'
  /** UUIDv7 (RFC 9562): unique, and sorts by time. */
  readonly id: string
  /** A decision, or what became of a call that was let in. */
  readonly type: 'access.decision' | 'access.outcome'
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string
  /** Ours, one per request: joins a request's events. */
  readonly requestId: string
  /** Where in the request's way; `response` for outcomes. */
  readonly stage: AuditStage
  /** An outcome repeats the decision that let the call in. */
  readonly decision: 'allow' | 'refuse' | 'would_refuse'
  /** Why the call is, or would be, refused; `null` where it is allowed. */
  readonly reason: RefusalCode | null
  /** The rule that decided, also where it refused; `null` for direct calls, and where no rule fits. */
  readonly rule: string | null
  /** What the rule's `when` told of a consent, also where it refused; the `reason` is capped. `null`: nothing was told. */
  readonly consent: Consent | null
  /** How the issuer writes the call; `null` where it was refused before there was a context. */
  readonly kind: AuthContext['kind'] | null
  /** Whose authority is used (`sub`, RFC 7519 4.1.2, or what `act_as` names). `null` without a context. */
  readonly subject: AuditParty | null
  /** Who is really calling (the outermost `act`, RFC 8693 4.1). `null` for direct calls, and without a context. */
  readonly actor: AuditParty | null
  /** Every actor that the token names, current first. Empty where it names none. */
  readonly chain: readonly AuditParty[]
  /** The client that the token was issued to (RFC 8693 4.3). `null`: not said. */
  readonly clientId: string | null
  /** The tenant that the token is for. `null`: not said. */
  readonly tenant: string | null
  /** The grant, session or delegation that the token stems from. `null`: not said. */
  readonly grantId: string | null
  /** As granted, and what the call may do (nothing where it is refused); sorted. Of a request scope only the prefix. */
  readonly scopes: { readonly token: readonly string[]; readonly effective: readonly string[] }
  /** What is known of the token. Before its signature holds that is `keyId` alone, and then it is the caller's text. */
  readonly token: {
    /** The configured issuer (`iss`). `null` before the signature holds. */
    readonly issuer: string | null
    /** `jti`, or `sha256:` and the digest of the signed text in base64url. `null` before the signature holds. */
    readonly id: string | null
    /** `iat`, in seconds since the epoch. */
    readonly issuedAt: number | null
    /** `exp`, in seconds since the epoch. */
    readonly expiresAt: number | null
    /** `kid` of the header (RFC 7515 4.1.4), capped and cleaned. */
    readonly keyId: string | null
    /** `alg` of the header (RFC 7515 4.1.1). `null` before the signature holds. */
    readonly algorithm: string | null
  }
  /** Age of the issuer's key set in whole seconds (0: configured; `null`: the token was not proved), and whether it was past its time. */
  readonly keys: { readonly ageSeconds: number | null; readonly stale: boolean }
  /** The request, and how it was answered. */
  readonly http: {
    /** As the framework sees it; `OTHER` where it has not the shape of a method. */
    readonly method: string
    /** The pattern of the matched route, never the path. `null`: nothing matched yet, or an unknown router. */
    readonly route: string | null
    /** Of a refusal its own status, whatever was answered in the end; of an outcome the response's. */
    readonly status: number | null
    /** From `authenticate()` to the end of the response; outcomes alone have it, less those whose result is `unknown`. */
    readonly durationMilliseconds: number | null
  }
  /** `peer` is the socket's; everything else the caller or a proxy wrote, and is not to be trusted. */
  readonly net: {
    /** Address of the socket's peer: a proxy's, if one stands before the API. */
    readonly peer: string | null
    /** `Forwarded` (RFC 7239), or else `X-Forwarded-For`; capped and cleaned. */
    readonly forwarded: string | null
    /** `User-Agent` (RFC 9110 10.1.5); capped and cleaned. */
    readonly userAgent: string | null
    /** `X-Request-Id`; capped and cleaned. Never used as ours. */
    readonly callerRequestId: string | null
  }
  /** `traceparent` (W3C Trace Context), `null` where it is absent or not well-formed. */
  readonly trace: { readonly traceparent: string | null }
  /** What became of the call; `null` for decisions. */
  readonly result: AuditResult | null
  /** What its reader should know, such as an actor that is the subject itself. Empty: nothing. */
  readonly notices: readonly Notice[]
}

/** The request that events are about. What is the same in all of them is made once. */
export interface AuditRequest {
  readonly requestId: string
  readonly view: RequestView
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** What a rule was told of a consent. */
  readonly consent: Consent | null
  /** Where the request came from, once an event has said it. */
  origin: Pick<AuditEvent, 'net' | 'trace'> | null
}

/** The part of an event that says who calls with which token: the same for every request of a token under a rule. */
export type AuditCaller = Pick<
  AuditEvent,
  'kind' | 'subject' | 'actor' | 'chain' | 'clientId' | 'tenant' | 'grantId' | 'scopes' | 'token' | 'notices'
>

/** What an event says beside its request and its caller; what is left out is `null` or empty. */
export interface EventDetails {
  readonly type: AuditEvent['type']
  readonly stage: AuditStage
  readonly decision: AuditEvent['decision']
  readonly reason?: RefusalCode | null
  readonly rule?: string | null
  readonly status?: number | null
  readonly result?: AuditResult
}

/** What is known of a token that was refused before there was a context. */
export type RefusedEvidence = Pick<AuditEvent['token'], 'issuer' | 'id' | 'keyId' | 'algorithm'>

/** Longest text of a caller that is kept, in UTF-16 code units. */
const FOREIGN_TEXT_CHARACTERS = 256
const UNCLEAN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/
const METHOD = /^[A-Z][A-Z-]{0,19}$/

/** A caller's text, capped, and without what could forge a line or a terminal command. */
function foreignText(text: string | null): string | null {
  return text === null ? null : text.slice(0, FOREIGN_TEXT_CHARACTERS).replace(UNCLEAN, '\uFFFD')
}

const NOTHING: readonly never[] = Object.freeze([])
const NO_SCOPES: AuditEvent['scopes'] = Object.freeze({ token: NOTHING, effective: NOTHING })
/** Of a token that was not proved. */
export const NO_KEYS: AuditEvent['keys'] = Object.freeze({ ageSeconds: null, stale: false })

/** Builds an event from an allow-list of fields. */
export function createEvent(
  request: AuditRequest,
  caller: AuditCaller,
  keys: AuditEvent['keys'],
  details: EventDetails,
  nowMilliseconds: number,
): AuditEvent {
  const { view, startedAt } = request
  const { method } = view
  request.origin ??= originOf(view)
  return Object.freeze({
    v: '1.1',
    id: uuidV7(nowMilliseconds),
    type: details.type,
    time: momentOf(nowMilliseconds).iso,
    requestId: request.requestId,
    stage: details.stage,
    decision: details.decision,
    reason: details.reason ?? null,
    rule: details.rule ?? null,
    consent: request.consent === null ? null : auditConsent(request.consent),
    kind: caller.kind,
    subject: caller.subject,
    actor: caller.actor,
    chain: caller.chain,
    clientId: caller.clientId,
    tenant: caller.tenant,
    grantId: caller.grantId,
    scopes: caller.scopes,
    token: caller.token,
    keys,
    http: Object.freeze({
      method: METHOD.test(method) ? method : 'OTHER',
      route: view.route,
      status: details.status ?? null,
      durationMilliseconds: details.type === 'access.outcome' ? Math.max(0, nowMilliseconds - startedAt) : null,
    }),
    net: request.origin.net,
    trace: request.origin.trace,
    result: details.result ?? null,
    notices: caller.notices,
  })
}

/**
 * The caller as events say it.
 * @param tokenScopes scopes of the token as they may be recorded
 * @param effectiveScopes what the call may do, as it may be recorded
 */
export function auditCaller(
  context: AuthContext,
  tokenScopes: readonly string[],
  effectiveScopes: readonly string[],
): AuditCaller {
  const { issuer, id, issuedAt, expiresAt, keyId, algorithm } = context.token
  return Object.freeze({
    kind: context.kind,
    subject: auditParty(context.subject),
    actor: context.actor === null ? null : auditParty(context.actor),
    chain: Object.freeze(context.chain.map(auditParty)),
    clientId: context.clientId,
    tenant: context.tenant,
    grantId: context.grantId,
    scopes: Object.freeze({ token: Object.freeze([...tokenScopes]), effective: Object.freeze([...effectiveScopes]) }),
    token: Object.freeze({ issuer, id, issuedAt, expiresAt, keyId: foreignText(keyId), algorithm }),
    notices: context.notices,
  })
}

/** A caller of whom there is no context: nothing but what is known of the token. */
export function unknownCaller(evidence: RefusedEvidence): AuditCaller {
  const { issuer, id, keyId, algorithm } = evidence
  return Object.freeze({
    kind: null,
    subject: null,
    actor: null,
    chain: NOTHING,
    clientId: null,
    tenant: null,
    grantId: null,
    scopes: NO_SCOPES,
    token: Object.freeze({ issuer, id, issuedAt: null, expiresAt: null, keyId: foreignText(keyId), algorithm }),
    notices: NOTHING,
  })
}

/** Ids stay whole: one that is cut names something else. */
function auditConsent({ consentId, expiresAt, ticket, reason }: Consent): Consent {
  return Object.freeze({ consentId, expiresAt, ticket, reason: foreignText(reason) })
}

function originOf(view: RequestView): Pick<AuditEvent, 'net' | 'trace'> {
  const traceparent = view.header('traceparent')
  return {
    net: Object.freeze({
      peer: view.peer,
      forwarded: foreignText(view.header('forwarded') ?? view.header('x-forwarded-for')),
      userAgent: foreignText(view.header('user-agent')),
      callerRequestId: foreignText(view.header('x-request-id')),
    }),
    trace: Object.freeze({ traceparent: traceparent !== null && TRACEPARENT.test(traceparent) ? traceparent : null }),
  }
}

function auditParty({ id, idClaim, issuer, type, profiles, tenant }: Party | UnknownParty): AuditParty {
  return Object.freeze({ id, idClaim, issuer, type, profiles, tenant }) as AuditParty
}

/** What the events of one millisecond share. */
interface Moment {
  readonly milliseconds: number
  readonly iso: string
  /** Begin and end of its UUIDs; between them stands `count`. */
  readonly uuidStart: string
  readonly uuidEnd: string
  count: number
}

/** `rand_a` of a UUIDv7 has 12 bits. */
const COUNTS = 0x1000

/** Where `rand_b` of a UUIDv4 begins; the variant before it is the same in version 7. */
const RAND_B = 18

let moment: Moment = momentAt(0)

function momentAt(milliseconds: number): Moment {
  const hex = Math.trunc(milliseconds).toString(16).padStart(12, '0')
  return {
    milliseconds,
    iso: new Date(milliseconds).toISOString(),
    uuidStart: `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7`,
    uuidEnd: randomUUID().slice(RAND_B),
    count: 0,
  }
}

function momentOf(milliseconds: number): Moment {
  if (moment.milliseconds !== milliseconds || moment.count === COUNTS) moment = momentAt(milliseconds)
  return moment
}

/**
 * A UUIDv7 (RFC 9562 5.7): 48 bits of milliseconds, a counter within the millisecond (6.2, method 1), and 62 random bits for each
 * millisecond of each process. Unique, sorts by time; not a secret.
 */
export function uuidV7(milliseconds: number): string {
  const { uuidStart, uuidEnd, count } = momentOf(milliseconds)
  moment.count++
  return uuidStart + (COUNTS + count).toString(16).slice(1) + uuidEnd
}
