import type { AuditResult, AuditStage } from './audit/event.js'
import { createRecorder } from './audit/recorder.js'
import type { RefusalCode } from './challenge.js'
import { booleanAt, membersOf, optional } from './config-shape.js'
import { type AuthContext, admitted, type DelegatedContext, isDelegated } from './delegation/context.js'
import { ApplicationError, AuthError, ConfigError } from './errors.js'
import { type ResourceServerOptions, resolveOptions } from './options.js'
import { admitsMethod, decide } from './policy/decide.js'
import { askHook } from './policy/hook.js'
import { type CompiledRequirement, compileRequirement, judgeRequirement, type Requirement } from './policy/requirement.js'
import type { RequestView, ResponseView } from './request-view.js'
import { readCredentials } from './token/credentials.js'
import { VerifiedCache } from './token/verified-cache.js'
import { createVerifier, isRefused, type ProvenToken } from './verifier.js'
import { createVisit, createVisitLog, type Passage, type RefusalRecord, type Visit } from './visit.js'

/** One request and its response, as an adapter shows them. */
export interface Exchange {
  /** The object that stands for the request in every call: Node's own request. */
  readonly key: object
  /** The request, as it is asked until the response has ended. */
  readonly request: RequestView
  /** The response whose end is the outcome. */
  readonly response: ResponseView
}

/** Options of `authenticate()`. */
export interface AuthenticateOptions {
  /** Let a request without any credentials go on without a context. Bad credentials are refused all the same. Default `false`. */
  readonly optional?: boolean
}

/** The framework-free resource server that the adapters stand on. */
export interface ResourceServer {
  /**
   * Verifies, binds, applies the rules and records. After it no delegated call exists that no rule admitted and no sink accepted.
   * @returns a step; it throws {@link AuthError} for a refusal
   */
  authenticate(options?: AuthenticateOptions): (exchange: Exchange) => Promise<Passage>
  /**
   * A route's requirement. Reads the server's own record of the request, never a property of it.
   * @returns a step; it throws {@link AuthError} for a refusal and {@link ConfigError} where `authenticate()` did not run
   */
  guard(...requirement: readonly [] | readonly [requirement: Requirement]): (key: object) => Promise<void>
  /** The context; `null` only for an anonymous call that `optional` let in. Throws {@link ConfigError} where there is no record. */
  contextOf(key: object): AuthContext | null
  /** The context of a delegated call; throws {@link ConfigError} for any other. */
  delegatedContextOf(key: object): DelegatedContext
  /** Proof and context of a token, without rules, requirement or record. Throws {@link AuthError}. */
  verify(token: string): Promise<AuthContext>
  /** Flushes and closes the sinks, and waits for them without a limit of its own; tells of lost events not yet told. */
  close(): Promise<void>
  /** Whether an adapter answers refusals itself, or hands them to its framework. */
  readonly refusals: 'respond' | 'forward'
  /** Name of the context on the framework's request. */
  readonly contextProperty: string
}

/**
 * Creates a resource server. Everything that can be wrong in its options is thrown here.
 * @throws {ConfigError}
 */
export function createResourceServer(options: ResourceServerOptions): ResourceServer {
  const settings = resolveOptions(options)
  const { limits, now } = settings
  const cache =
    settings.cache === null ? null : new VerifiedCache<ProvenToken>(settings.cache.maxEntries, settings.cache.maxBytes)
  const verifier = createVerifier({ ...settings, cache })
  const recorder = createRecorder(settings.audit, now)
  const log = createVisitLog(recorder, now)
  const visits = new WeakMap<object, Visit>()
  if (settings.mode === 'report') {
    process.emitWarning("behalf: mode 'report' lets calls through that no delegation rule admits", { code: 'BEHALF_REPORT_MODE' })
  }

  /** A request's way up to its handler; the picture in `docs/architecture.md`. */
  async function admit(visit: Visit, response: ResponseView, anonymousToo: boolean): Promise<Passage> {
    const note: Note = (stage, error, details) => log.refused(visit, stage, error, details)
    const token = readToken(visit, note)
    if (token === null) return admitAnonymous(visit, anonymousToo)
    visit.proven = await verify(token, note)
    bind(visit.proven, note)
    await applyRules(visit, visit.proven)
    return record(visit, response)
  }

  function readToken({ view }: Visit, note: Note): string | null {
    try {
      return readCredentials(view, settings.credentialsFrom)
    } catch (error) {
      throw error instanceof AuthError ? refuse(note, 'credentials', error) : new ApplicationError(error)
    }
  }

  function admitAnonymous(visit: Visit, anonymousToo: boolean): Passage {
    if (!anonymousToo) {
      const error = new AuthError('credentials_missing')
      log.refused(visit, 'credentials', error)
      throw error
    }
    visit.state = 'anonymous'
    return 'go_on'
  }

  /** Proof, and what can have changed under it since: a cache hit skips the proof, never the rest. */
  async function verify(token: string, note: Note): Promise<ProvenToken> {
    const proven = await verifier.prove(token)
    if (isRefused(proven)) throw refuse(note, 'verify', proven.error, proven)
    const refusal = await verifier.stillGood(proven)
    if (refusal !== null) throw refuse(note, 'verify', refusal.error, refusal)
    return proven
  }

  /** A token that is bound to its sender (RFC 7800 3.1) must not pass as a bearer token: no proof of possession is checked yet. */
  function bind({ bound, context }: ProvenToken, note: Note): void {
    if (bound) throw refuse(note, 'bind', new AuthError('binding_unsupported'), { context })
  }

  /** Direct calls need no rule. In `report` mode a refusal made by the rules becomes a note, and the call goes on. */
  async function applyRules(visit: Visit, { context }: ProvenToken): Promise<void> {
    visit.context = context
    if (!isDelegated(context)) return
    const { refusal, rule, context: narrowed } = await decide(settings.rules, context, visit.view, limits.hookMilliseconds)
    const name = rule?.id ?? null
    if (refusal === null) {
      visit.context = narrowed
      visit.rule = rule
      visit.admission = { decision: 'allow', reason: null, rule: name }
      return
    }
    if (settings.mode === 'enforce') {
      const error = errorOf(refusal)
      log.refused(visit, 'rules', error, { context, rule: name })
      throw error
    }
    visit.context = admitted(context, { rule: null, scopes: context.scopes, wouldRefuse: refusal })
    visit.admission = { decision: 'would_refuse', reason: refusal, rule: name }
  }

  /** The decision is accepted by the sinks before the handler runs; then the response's end brings the one outcome. */
  async function record(visit: Visit, response: ResponseView): Promise<Passage> {
    const recorded = log.wants(visit)
    if (recorded && !(await accepted(visit, 'rules'))) {
      log.ended(visit, 'not_run', null) // a sink may have taken the decision, or take it yet
      throw errorOf('audit_unavailable')
    }
    visit.state = 'admitted'
    if (!recorded) return 'go_on'
    if (response.ended) {
      log.ended(visit, 'not_run', null)
      return 'client_gone'
    }
    response.onEnd((finished) => {
      const { status } = response
      log.ended(visit, resultOf(visit, finished, status), status)
    })
    return 'go_on'
  }

  /** Whether a call may go on, as far as its record is concerned. */
  async function accepted(visit: Visit, stage: 'rules' | 'requirement'): Promise<boolean> {
    return (await log.admitted(visit, stage)) || settings.audit.unrecorded === 'allow'
  }

  /** Why a requirement refuses a visit, or `null`. In `report` mode what a rule's limits refuse is recorded, and relaxed. */
  async function judge(visit: Visit, context: AuthContext, requirement: CompiledRequirement): Promise<RefusalCode | null> {
    let current = context
    let refusal = judgeMethod(visit) ?? judgeRequirement(requirement, current)
    if (refusal !== null && MADE_BY_RULES.has(refusal) && settings.mode === 'report' && isDelegated(current)) {
      const relaxed = await relax(visit, current, refusal)
      if (relaxed === null) return 'audit_unavailable'
      current = relaxed
      refusal = judgeRequirement(requirement, current)
    }
    if (refusal !== null || requirement.check === null) return refusal
    const answer = await askHook(requirement.check, current, visit.view, limits.hookMilliseconds)
    return answer === 'yes' ? null : answer === 'no' ? 'requirement_failed' : 'rule_unavailable'
  }

  /** A method-override middleware may have run since the rule was asked. */
  function judgeMethod({ rule, view }: Visit): RefusalCode | null {
    return rule === null || admitsMethod(rule, view) ? null : 'method_not_delegated'
  }

  /**
   * Makes the call one that no rule admits as it is, for its handler, its guards and its outcome: once that is recorded.
   * @returns the relaxed context; `null` where the sinks did not accept that, and everything stays as it was
   */
  async function relax(visit: Visit, context: DelegatedContext, reason: RefusalCode): Promise<DelegatedContext | null> {
    const scopes = visit.proven?.context.scopes ?? context.scopes
    const relaxed = admitted(context, { rule: null, scopes, wouldRefuse: reason })
    const after: Visit = {
      ...visit,
      context: relaxed,
      rule: null,
      admission: { decision: 'would_refuse', reason, rule: visit.admission.rule },
    }
    if (!(await accepted(after, 'requirement'))) return null
    visit.context = after.context
    visit.rule = after.rule
    visit.admission = after.admission
    return relaxed
  }

  function errorOf(code: RefusalCode, scopes: readonly string[] = []): AuthError {
    const ourTrouble = code === 'rule_unavailable' || code === 'audit_unavailable'
    return new AuthError(code, { scopes, ...(ourTrouble && { retryAfterSeconds: limits.retryAfterSeconds }) })
  }

  function visitOf(key: object): Visit {
    const visit = visits.get(key)
    if (visit === undefined || visit.state === 'under_way') {
      throw new ConfigError(
        'this request was not authenticated by this server: put its authenticate() before whatever asks for the context',
      )
    }
    if (visit.state === 'refused') throw visit.failure
    return visit
  }

  return {
    refusals: settings.refusals,
    contextProperty: settings.contextProperty,

    authenticate(authenticateOptions = {}) {
      const members = membersOf(authenticateOptions, 'authenticate()', ['optional'])
      const anonymousToo = optional(members, 'optional', 'authenticate()', booleanAt, false)
      return async ({ key, request, response }) => {
        const earlier = visits.get(key)
        if (earlier !== undefined) {
          const passage = await earlier.passage
          // Nothing is done twice; but a place that takes nobody anonymous must not rely on one that does.
          if (earlier.state === 'anonymous') admitAnonymous(earlier, anonymousToo)
          return passage
        }
        const visit = createVisit(request, now())
        visits.set(key, visit)
        visit.passage = admit(visit, response, anonymousToo).catch((error: unknown) => {
          visit.state = 'refused'
          // Frameworks take a falsy error for none, and a text for a command.
          visit.failure = error instanceof Error ? error : new ApplicationError(error)
          throw visit.failure
        })
        return visit.passage
      }
    },

    guard(...given) {
      // `guard()` is open to every verified call; a requirement that turns out to be undefined must not be.
      const compiled = compileRequirement(given.length === 0 ? {} : given[0], settings.knownIssuers)
      return async (key) => {
        const visit = visitOf(key)
        const { context } = visit
        const refusal = context === null ? 'credentials_missing' : await judge(visit, context, compiled)
        if (refusal === null) return
        const error = errorOf(refusal, refusal === 'scope_insufficient' ? [...compiled.scopes, ...compiled.anyScope] : [])
        visit.guardStatus = error.status
        log.refused(visit, 'requirement', error, { context: visit.context, rule: visit.admission.rule })
        throw error
      }
    },

    contextOf: (key) => visitOf(key).context,

    delegatedContextOf(key) {
      const { context } = visitOf(key)
      if (context !== null && isDelegated(context)) return context
      throw new ConfigError("this call is not delegated: guard its route with kind: 'impersonation' or 'delegation'")
    },

    async verify(token) {
      const unrecorded: Note = () => {}
      const proven = await verify(String(token), unrecorded)
      bind(proven, unrecorded)
      return proven.context
    },

    close: () => recorder.close(),
  }
}

/** Takes note of a refusal; `verify()` for applications has nobody to tell. */
type Note = (stage: AuditStage, error: AuthError, details?: RefusalRecord) => void

/** Notes a refusal, and gives its error back to be thrown. */
function refuse(note: Note, stage: AuditStage, error: AuthError, details?: RefusalRecord): AuthError {
  note(stage, error, details)
  return error
}

/** What a guard refuses because of the rule that admitted the call, not because of its own requirement. */
const MADE_BY_RULES: ReadonlySet<RefusalCode> = new Set(['scope_not_delegated', 'method_not_delegated'])

/** What became of a call, judged on its response alone: an application may have caught a guard's refusal and gone on. */
function resultOf({ guardStatus }: Visit, finished: boolean, status: number): AuditResult {
  if (guardStatus !== null && guardStatus === status) return 'refused'
  if (!finished) return 'aborted'
  return status >= 500 ? 'failed' : 'completed'
}
