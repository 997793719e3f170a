import { randomFillSync } from 'node:crypto'
import type { RefusalCode } from '../challenge.js'
import type { AuthContext } from '../delegation/context.js'
import type { Notice } from '../delegation/decode.js'
import type { Party, UnknownParty } from '../delegation/party.js'
import type { RequestView } from '../request-view.js'

/** Where in a request's way something was decided; `response` for outcomes. */
export type AuditStage = 'credentials' | 'verify' | 'bind' | 'rules' | 'requirement' | 'response'

/** What became of an admitted call, judged on its response alone. */
export type AuditResult = 'completed' | 'failed' | 'aborted' | 'refused' | 'not_run'

/** A party as it is recorded: identity, no further claims. */
export type AuditParty = Omit<Party, 'claims'> | Omit<UnknownParty, 'claims'>

/**
 * The record of a decision or an outcome, native schema 1.0: documented, with its JSON Schema, in `docs/audit-events.md`.
 * Every member is always there; `null` says that it is not known or does not apply. Deeply frozen: sinks share one object.
 */
export interface AuditEvent {
  readonly v: '1.0'
  /** UUIDv7 (RFC 9562): unique, and sorts by time. */
  readonly id: string
  readonly type: 'access.decision' | 'access.outcome'
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string
  /** Ours, one per request: joins a request's events. */
  readonly requestId: string
  readonly stage: AuditStage
  /** An outcome repeats the decision that let the call in. */
  readonly decision: 'allow' | 'refuse' | 'would_refuse'
  readonly reason: RefusalCode | null
  readonly rule: string | null
  readonly kind: AuthContext['kind'] | null
  readonly subject: AuditParty | null
  readonly actor: AuditParty | null
  readonly chain: readonly AuditParty[]
  readonly clientId: string | null
  readonly tenant: string | null
  readonly grantId: string | null
  readonly scopes: { readonly token: readonly string[]; readonly effective: readonly string[] }
  readonly token: {
    readonly issuer: string | null
    readonly id: string | null
    /** Seconds since the epoch. */
    readonly issuedAt: number | null
    /** Seconds since the epoch. */
    readonly expiresAt: number | null
    readonly keyId: string | null
    readonly algorithm: string | null
  }
  readonly keys: { readonly ageSeconds: number | null; readonly stale: boolean }
  readonly http: {
    readonly method: string
    readonly route: string | null
    readonly status: number | null
    readonly durationMilliseconds: number | null
  }
  /** `peer` is the socket's; everything else the caller or a proxy wrote, and is not to be trusted. */
  readonly net: {
    readonly peer: string | null
    readonly forwarded: string | null
    readonly userAgent: string | null
    readonly callerRequestId: string | null
  }
  readonly trace: { readonly traceparent: string | null }
  readonly result: AuditResult | null
  readonly notices: readonly Notice[]
}

/** The part of an event that is the same for every event of one request. */
export interface AuditRequest {
  readonly requestId: string
  readonly view: RequestView
  /** Milliseconds since the epoch. */
  readonly startedAt: number
}

/** What an event says beside its request; what is left out is `null` or empty. */
export interface EventDetails {
  readonly type: AuditEvent['type']
  readonly stage: AuditStage
  readonly decision: AuditEvent['decision']
  readonly reason?: RefusalCode | null
  readonly rule?: string | null
  readonly context?: AuthContext | null
  /** Scopes of the token as they may be recorded. */
  readonly tokenScopes?: readonly string[]
  readonly effectiveScopes?: readonly string[]
  readonly token?: {
    readonly issuer: string | null
    readonly id: string | null
    readonly keyId: string | null
    readonly algorithm: string | null
  }
  readonly keysAgeSeconds?: number | null
  readonly status?: number | null
  readonly result?: AuditResult
}

/** Longest text of a caller that is kept, in UTF-16 code units. */
const FOREIGN_TEXT_CHARACTERS = 256
const UNCLEAN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/
const METHOD = /^[A-Z][A-Z-]{0,19}$/

/** A caller's text, capped, and without what could forge a line or a terminal command. */
function foreignText(text: string | null): string | null {
  return text === null ? null : text.slice(0, FOREIGN_TEXT_CHARACTERS).replace(UNCLEAN, '\uFFFD')
}

/** Builds an event from an allow-list of fields. */
export function createEvent(request: AuditRequest, details: EventDetails, nowMilliseconds: number): AuditEvent {
  const { view, requestId, startedAt } = request
  const context = details.context ?? null
  const token = details.token ?? context?.token ?? null
  const traceparent = view.header('traceparent')
  return deepFreeze({
    v: '1.0',
    id: uuidV7(nowMilliseconds),
    type: details.type,
    time: new Date(nowMilliseconds).toISOString(),
    requestId,
    stage: details.stage,
    decision: details.decision,
    reason: details.reason ?? null,
    rule: details.rule ?? null,
    kind: context?.kind ?? null,
    subject: context === null ? null : auditParty(context.subject),
    actor: context === null || context.actor === null ? null : auditParty(context.actor),
    chain: context === null ? [] : context.chain.map(auditParty),
    clientId: context?.clientId ?? null,
    tenant: context?.tenant ?? null,
    grantId: context?.grantId ?? null,
    scopes: { token: [...(details.tokenScopes ?? [])], effective: [...(details.effectiveScopes ?? [])] },
    token: {
      issuer: token?.issuer ?? null,
      id: token?.id ?? null,
      issuedAt: context?.token.issuedAt ?? null,
      expiresAt: context?.token.expiresAt ?? null,
      keyId: foreignText(token?.keyId ?? null),
      algorithm: token?.algorithm ?? null,
    },
    keys: { ageSeconds: details.keysAgeSeconds ?? null, stale: false },
    http: {
      method: METHOD.test(view.method) ? view.method : 'OTHER',
      route: view.route,
      status: details.status ?? null,
      durationMilliseconds: details.type === 'access.outcome' ? Math.max(0, nowMilliseconds - startedAt) : null,
    },
    net: {
      peer: view.peer,
      forwarded: foreignText(view.header('forwarded') ?? view.header('x-forwarded-for')),
      userAgent: foreignText(view.header('user-agent')),
      callerRequestId: foreignText(view.header('x-request-id')),
    },
    trace: { traceparent: traceparent !== null && TRACEPARENT.test(traceparent) ? traceparent : null },
    result: details.result ?? null,
    notices: context?.notices ?? [],
  })
}

function auditParty({ id, idClaim, issuer, type, profiles, tenant }: Party | UnknownParty): AuditParty {
  return { id, idClaim, issuer, type, profiles, tenant } as AuditParty
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (typeof member === 'object' && member !== null && !Object.isFrozen(member)) deepFreeze(member as object)
  }
  return Object.freeze(value)
}

const randomPool = Buffer.allocUnsafe(16 * 256)
let randomAt = randomPool.length

/** A UUIDv7 (RFC 9562 5.7): 48 bits of milliseconds, then randomness, drawn in blocks. */
export function uuidV7(milliseconds: number): string {
  if (randomAt === randomPool.length) {
    randomFillSync(randomPool)
    randomAt = 0
  }
  const random = randomPool.toString('hex', randomAt, randomAt + 10)
  const variant = (8 + (Number.parseInt(random.slice(3, 4), 16) & 3)).toString(16)
  randomAt += 16
  const time = Math.trunc(milliseconds).toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8, 12)}-7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(8, 20)}`
}
