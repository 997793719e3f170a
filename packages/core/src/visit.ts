import {
  type AuditEvent,
  type AuditRequest,
  type AuditResult,
  type AuditStage,
  createEvent,
  type EventDetails,
  uuidV7,
} from './audit/event.js'
import type { Recorder } from './audit/recorder.js'
import type { RefusalCode } from './challenge.js'
import { requestPrefixOf } from './delegation/claim-mapping.js'
import type { AuthContext } from './delegation/context.js'
import type { AuthError } from './errors.js'
import type { CompiledRule } from './policy/rule.js'
import type { RequestView } from './request-view.js'
import { type Evidence, NO_EVIDENCE, type ProvenToken } from './verifier.js'

/** Whether the next handler may run: not where the client was gone before it. */
export type Passage = 'go_on' | 'client_gone'

/** The server's own record of one request. */
export interface Visit extends AuditRequest {
  state: 'under_way' | 'anonymous' | 'admitted' | 'refused'
  /** Settles when `authenticate()` is through. */
  passage: Promise<Passage>
  /** Why the request was refused; an error of the application's own where one of its functions threw. */
  failure: unknown
  proven: ProvenToken | null
  context: AuthContext | null
  /** The rule that admitted the call. */
  rule: CompiledRule | null
  /** How the call got past the rules, for its decision and its outcome alike. */
  admission: AdmissionRecord
  /** Status of the refusal of a guard, `null` where none refused. */
  guardStatus: number | null
}

export function createVisit(view: RequestView, startedAt: number): Visit {
  return {
    requestId: uuidV7(startedAt),
    view,
    startedAt,
    state: 'under_way',
    passage: Promise.resolve('go_on'),
    failure: null,
    proven: null,
    context: null,
    rule: null,
    admission: { decision: 'allow', reason: null, rule: null },
    guardStatus: null,
  }
}

/** What a decision says about a call that goes on. */
interface AdmissionRecord {
  readonly decision: 'allow' | 'would_refuse'
  readonly reason: RefusalCode | null
  readonly rule: string | null
}

/** Writes the events of visits. */
export interface VisitLog {
  /** Whether a call that goes on is recorded. */
  wants(visit: Visit): boolean
  /** `access.decision` about a call that goes on, at a stage; `true` when every sink has accepted it. */
  admitted(visit: Visit, stage: 'rules' | 'requirement'): Promise<boolean>
  /** `access.decision` about a refusal, where it is wanted. Nothing waits for it. */
  refused(visit: Visit, stage: AuditStage, error: AuthError, details?: RefusalRecord): void
  /** `access.outcome`. */
  ended(visit: Visit, result: AuditResult, status: number | null): void
}

/** What is known about a refused call beside its visit. */
export interface RefusalRecord {
  readonly context?: AuthContext | null
  readonly evidence?: Evidence
  readonly rule?: string | null
}

export function createVisitLog(recorder: Recorder, now: () => number): VisitLog {
  function eventOf(visit: Visit, details: EventDetails): AuditEvent {
    if (visit.proven === null) return createEvent(visit, details, now())
    const { context, decision } = details
    const { claims, keys } = visit.proven.issuer
    // A request scope can hold personal data: only its prefix is recorded.
    const recordable = (scopes: readonly string[]) => [
      ...new Set(scopes.map((scope) => requestPrefixOf(scope, claims.mapping) ?? scope)),
    ]
    const known = {
      keysAgeSeconds: keys.latest?.ageSeconds(now()) ?? null,
      tokenScopes: recordable(context?.tokenScopes ?? []),
      effectiveScopes: decision === 'refuse' ? [] : recordable(context?.scopes ?? []),
    }
    return createEvent(visit, { ...details, ...known }, now())
  }

  return {
    wants: (visit) => recorder.wants(false, visit.context, false),

    admitted(visit, stage) {
      return recorder.accept(eventOf(visit, { type: 'access.decision', stage, ...visit.admission, context: visit.context }))
    },

    refused(visit, stage, { code: reason, status }, { context = null, evidence = NO_EVIDENCE, rule = null } = {}) {
      if (!recorder.wants(true, context, evidence.carriesDelegation || (visit.proven?.carriesDelegation() ?? false))) return
      const refusal = { type: 'access.decision', decision: 'refuse', stage, reason, status, rule, context } as const
      recorder.note(() => eventOf(visit, context === null ? { ...refusal, token: evidence } : refusal))
    },

    ended(visit, result, status) {
      const outcome = { type: 'access.outcome', stage: 'response', ...visit.admission, result, status } as const
      recorder.note(() => eventOf(visit, { ...outcome, context: visit.context }))
    },
  }
}
