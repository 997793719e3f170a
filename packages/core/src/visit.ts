import {
  type AuditCaller,
  type AuditEvent,
  type AuditRequest,
  type AuditResult,
  type AuditStage,
  auditCaller,
  createEvent,
  type EventDetails,
  NO_KEYS,
  unknownCaller,
  uuidV7,
} from './audit/event.js'
import type { AuditSettings, Recorder } from './audit/recorder.js'
import type { RefusalCode, Scheme } from './challenge.js'
import { requestPrefixOf } from './delegation/claim-mapping.js'
import type { AuthContext, Consent } from './delegation/context.js'
import type { AuthError } from './errors.js'
import type { KeySnapshot } from './keys/key-set.js'
import type { CompiledRule } from './policy/rule.js'
import { type Evidence, NO_EVIDENCE, type ProvenToken } from './proven-token.js'
import type { RequestView } from './request-view.js'
import { refusalChannel } from './telemetry.js'
import { andThen, type Eventual } from './thenable.js'
import { createTroubleWarning } from './trouble-warning.js'

/** Whether the next handler may run: not where the client was gone before it. */
export type Passage = 'go_on' | 'client_gone'

/** The server's own record of one request. */
export interface Visit extends AuditRequest {
  state: 'under_way' | 'anonymous' | 'admitted' | 'refused'
  /** Whether the next handler may run: settled when `authenticate()` is through. `null`: it has not come to its first wait. */
  passage: Eventual<Passage> | null
  /** Why the request was refused; an error of the application's own where one of its functions threw. */
  failure: unknown
  /** How the token came. */
  scheme: Scheme
  proven: ProvenToken | null
  context: AuthContext | null
  /** The rule that admitted the call. */
  rule: CompiledRule | null
  /** What its `when` told of a consent, also where it said no. */
  consent: Consent | null
  /** Whether the rule that fits lets the login count that the token tells of; also where its limits are relaxed. */
  loginCounts: boolean
  /** How the call got past the rules, for its decision and its outcome alike. */
  admission: AdmissionRecord
  /** Status of the refusal of a guard, `null` where none refused. */
  guardStatus: number | null
}

export function createVisit(view: RequestView, startedAt: number): Visit {
  return new RequestVisit(view, startedAt)
}

const ADMITTED: AdmissionRecord = Object.freeze({ decision: 'allow', reason: null, rule: null })

class RequestVisit implements Visit {
  readonly view: RequestView
  readonly startedAt: number
  state: Visit['state'] = 'under_way'
  passage: Visit['passage'] = null
  failure: unknown = null
  scheme: Scheme = 'Bearer'
  proven: ProvenToken | null = null
  context: AuthContext | null = null
  rule: CompiledRule | null = null
  consent: Consent | null = null
  loginCounts = false
  admission: AdmissionRecord = ADMITTED
  guardStatus: number | null = null
  origin: Visit['origin'] = null
  #requestId: string | null = null

  constructor(view: RequestView, startedAt: number) {
    this.view = view
    this.startedAt = startedAt
  }

  /** Most calls are not recorded, and need none. */
  get requestId(): string {
    this.#requestId ??= uuidV7(this.startedAt)
    return this.#requestId
  }
}

/** What a decision says about a call that goes on. */
interface AdmissionRecord {
  readonly decision: 'allow' | 'would_refuse'
  readonly reason: RefusalCode | null
  readonly rule: string | null
}

/** Where a request can be refused. */
export type RefusalStage = Exclude<AuditStage, 'response'>

/** Writes the events of visits. */
export interface VisitLog {
  /** Whether a call that goes on is recorded. */
  wants(visit: Visit): boolean
  /** `access.decision` about a call that goes on, at a stage; `true` when every sink has accepted it, or it goes on unrecorded. */
  admitted(visit: Visit, stage: 'rules' | 'requirement'): Eventual<boolean>
  /** `access.decision` about a refusal, where it is wanted. Nothing waits for it. */
  refused(visit: Visit, stage: RefusalStage, error: AuthError, details?: RefusalRecord): void
  /** `access.outcome`. */
  ended(visit: Visit, result: AuditResult, status: number | null): void
}

/** What is known about a refused call beside its visit. */
export interface RefusalRecord {
  readonly context?: AuthContext | null
  readonly evidence?: Evidence
  readonly rule?: string | null
}

export function createVisitLog(recorder: Recorder, unrecorded: AuditSettings['unrecorded'], now: () => number): VisitLog {
  const warn = createTroubleWarning(now)

  function callerOf(context: AuthContext, { issuer, memo }: ProvenToken, refused: boolean): AuditCaller {
    // Contexts of one token differ in nothing that is told of the caller but the scopes that were left.
    if (!refused && memo.caller?.context.scopes === context.scopes) return memo.caller.told
    const { mapping } = issuer.claims
    // A request scope can hold personal data: only its prefix is recorded.
    const recordable = (scopes: readonly string[]) => [
      ...new Set(scopes.map((scope) => requestPrefixOf(scope, mapping) ?? scope)),
    ]
    const told = auditCaller(context, recordable(context.tokenScopes), refused ? [] : recordable(context.scopes))
    if (!refused) memo.caller = { context, told } // scopes are shared by every request of a token
    return told
  }

  function eventOf(visit: Visit, context: AuthContext | null, evidence: Evidence, details: EventDetails): AuditEvent {
    const { proven } = visit
    const time = now()
    const caller =
      context === null || proven === null ? unknownCaller(evidence) : callerOf(context, proven, details.decision === 'refuse')
    const keys = proven?.proof ? proven.issuer.keys.latest : null // who was asked has proved nothing by a key
    return createEvent(visit, caller, keys ? keysAt(keys, time) : NO_KEYS, details, time)
  }

  return {
    wants: (visit) => recorder.wants(false, visit.context, false),

    admitted(visit, stage) {
      const { decision, reason, rule } = visit.admission
      const event = eventOf(visit, visit.context, NO_EVIDENCE, { type: 'access.decision', stage, decision, reason, rule })
      return andThen(recorder.accept(event), (isAccepted) => isAccepted || unrecorded === 'allow')
    },

    refused(visit, stage, error, { context = null, evidence = NO_EVIDENCE, rule = null } = {}) {
      const { code: reason, status } = error
      if (status === 503) warn(error, stage === 'rules' ? rule : null)
      if (refusalChannel.heard) refusalChannel.publish({ code: reason, status, stage })
      if (!recorder.wants(true, context, evidence.carriesDelegation || (visit.proven?.carriesDelegation() ?? false))) return
      recorder.note(() =>
        eventOf(visit, context, evidence, { type: 'access.decision', decision: 'refuse', stage, reason, status, rule }),
      )
    },

    ended(visit, result, status) {
      const { decision, reason, rule } = visit.admission
      const outcome = { type: 'access.outcome', stage: 'response', decision, reason, rule, result, status } as const
      recorder.note(() => eventOf(visit, visit.context, NO_EVIDENCE, outcome))
    },
  }
}

/** Keys as events say them: the same for every event of a second, so made once. */
const keysTold = new WeakMap<KeySnapshot, AuditEvent['keys']>()

function keysAt(keys: KeySnapshot, nowMilliseconds: number): AuditEvent['keys'] {
  const ageSeconds = keys.ageSeconds(nowMilliseconds)
  const stale = keys.isStale(nowMilliseconds)
  const told = keysTold.get(keys)
  if (told?.ageSeconds === ageSeconds && told.stale === stale) return told
  const now = Object.freeze({ ageSeconds, stale })
  keysTold.set(keys, now)
  return now
}
