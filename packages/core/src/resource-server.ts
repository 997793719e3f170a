import type { AuditResult, AuditStage } from './audit/event.js'
import { createRecorder } from './audit/recorder.js'
import type { RefusalCode } from './challenge.js'
import { booleanAt, membersOf, optional } from './config-shape.js'
import { type AuthContext, admitted, type DelegatedContext, isDelegated } from './delegation/context.js'
import { AuthError, ConfigError } from './errors.js'
import { type ResourceServerOptions, resolveOptions } from './options.js'
import { admitsMethod, decide } from './policy/decide.js'
import { askHook } from './policy/hook.js'
import { type CompiledRequirement, compileRequirement, judgeRequirement, type Requirement } from './policy/requirement.js'
import type { RequestView, ResponseView } from './request-view.js'
import { readCredentials } from './token/credentials.js'
import { VerifiedCache } from './token/verified-cache.js'
import { createVerifier, isRefused, type ProvenToken } from './verifier.js'
import { type AdmissionRecord, createVisit, createVisitLog, type Passage, type RefusalRecord, type Visit } from './visit.js'

/** One request and its response, as an adapter shows them. */
export interface Exchange {
  /** The object that stands for the request in every call: Node's own request. */
  readonly key: object
  readonly request: RequestView
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
  guard(requirement?: Requirement): (key: object) => Promise<void>
  /** The context; `null` only for an anonymous call that `optional` let in. Throws {@link ConfigError} where there is no record. */
  contextOf(key: object): AuthContext | null
  /** The context of a delegated call; throws {@link ConfigError} for any other. */
  delegatedContextOf(key: object): DelegatedContext
  /** Proof and context of a token, without rules, requirement or record. Throws {@link AuthError}. */
  verify(token: string): Promise<AuthContext>
  /** Flushes and closes the sinks. */
  close(): Promise<void>
  readonly refusals: 'respond' | 'forward'
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
    const token = readToken(visit)
    if (token === null) return admitAnonymous(visit, anonymousToo)
    const proven = await verify(visit, token)
    bind(visit, proven)
    const admission = await applyRules(visit, proven)
    return record(visit, response, admission)
  }

  function readToken(visit: Visit): string | null {
    try {
      return readCredentials(visit.view, settings.credentialsFrom)
    } catch (error) {
      throw refuse(visit, 'credentials', error)
    }
  }

  function admitAnonymous(visit: Visit, anonymousToo: boolean): Passage {
    if (!anonymousToo) throw refuse(visit, 'credentials', new AuthError('credentials_missing'))
    visit.state = 'anonymous'
    return 'go_on'
  }

  /** Proof, and what can have changed under it since: a cache hit skips the proof, never the rest. */
  async function verify(visit: Visit, token: string): Promise<ProvenToken> {
    const proven = await verifier.prove(token)
    if (isRefused(proven)) throw refuse(visit, 'verify', proven.error, proven)
    const refusal = await verifier.stillGood(proven)
    if (refusal !== null) throw refuse(visit, 'verify', refusal.error, refusal)
    visit.proven = proven
    return proven
  }

  /** A token that is bound to its sender (RFC 7800 3.1) must not pass as a bearer token: no proof of possession is checked yet. */
  function bind(visit: Visit, { bound, context }: ProvenToken): void {
    if (bound) throw refuse(visit, 'bind', new AuthError('binding_unsupported'), { context })
  }

  /** Direct calls need no rule. In `report` mode a refusal made by the rules becomes a note, and the call goes on. */
  async function applyRules(visit: Visit, { context }: ProvenToken): Promise<AdmissionRecord> {
    if (!isDelegated(context)) {
      visit.context = context
      return { decision: 'allow', reason: null, rule: null }
    }
    const { refusal, rule, context: narrowed } = await decide(settings.rules, context, visit.view, limits.hookMilliseconds)
    const name = rule?.id ?? null
    if (refusal === null) {
      visit.context = narrowed
      visit.rule = rule
      return { decision: 'allow', reason: null, rule: name }
    }
    if (settings.mode === 'enforce') throw refuse(visit, 'rules', errorOf(refusal), { context, rule: name })
    visit.context = admitted(context, { rule: null, scopes: context.scopes, wouldRefuse: refusal })
    return { decision: 'would_refuse', reason: refusal, rule: name }
  }

  /** The decision is accepted by the sinks before the handler runs; then the response's end brings the one outcome. */
  async function record(visit: Visit, response: ResponseView, admission: AdmissionRecord): Promise<Passage> {
    const recorded = log.wants(visit)
    if (recorded && !(await log.admitted(visit, admission)) && settings.audit.unrecorded === 'refuse') {
      log.ended(visit, admission, 'not_run', null) // a sink may have taken the decision, or take it yet
      throw errorOf('audit_unavailable')
    }
    visit.state = 'admitted'
    if (!recorded) return 'go_on'
    if (response.ended) {
      log.ended(visit, admission, 'not_run', null)
      return 'client_gone'
    }
    response.onEnd((finished) => {
      const { status } = response
      log.ended(visit, admission, resultOf(visit, finished, status), status)
    })
    return 'go_on'
  }

  /** Why a requirement refuses a visit, or `null`. In `report` mode what a rule's limits refuse is noted, and relaxed. */
  async function judge(visit: Visit, context: AuthContext, requirement: CompiledRequirement): Promise<RefusalCode | null> {
    let current = context
    let refusal = judgeMethod(visit) ?? judgeRequirement(requirement, current)
    if (refusal !== null && MADE_BY_RULES.has(refusal) && settings.mode === 'report' && isDelegated(current)) {
      current = relax(visit, current, refusal)
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

  function relax(visit: Visit, context: DelegatedContext, reason: RefusalCode): DelegatedContext {
    const scopes = visit.proven?.context.scopes ?? context.scopes
    const relaxed = admitted(context, { rule: null, scopes, wouldRefuse: reason })
    visit.context = relaxed
    log.wouldRefuse(visit, reason, visit.rule?.id ?? null)
    visit.rule = null
    return relaxed
  }

  /** Records a refusal, and gives its error back to be thrown. An error that is no refusal goes up as it is. */
  function refuse(visit: Visit, stage: AuditStage, error: unknown, details: RefusalRecord = {}): unknown {
    if (error instanceof AuthError) log.refused(visit, stage, error, details)
    return error
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
          visit.failure = error
          throw error
        })
        return visit.passage
      }
    },

    guard(requirement = {}) {
      const compiled = compileRequirement(requirement, settings.knownIssuers)
      return async (key) => {
        const visit = visitOf(key)
        const { context } = visit
        const refusal = context === null ? 'credentials_missing' : await judge(visit, context, compiled)
        if (refusal === null) return
        visit.refusedByGuard = true
        const error = errorOf(refusal, refusal === 'scope_insufficient' ? [...compiled.scopes, ...compiled.anyScope] : [])
        throw refuse(visit, 'requirement', error, { context: visit.context, rule: visit.rule?.id ?? null })
      }
    },

    contextOf: (key) => visitOf(key).context,

    delegatedContextOf(key) {
      const { context } = visitOf(key)
      if (context !== null && isDelegated(context)) return context
      throw new ConfigError("this call is not delegated: guard its route with kind: 'impersonation' or 'delegation'")
    },

    async verify(token) {
      const proven = await verifier.prove(String(token))
      if (isRefused(proven)) throw proven.error
      const refusal = await verifier.stillGood(proven)
      if (refusal !== null) throw refusal.error
      if (proven.bound) throw new AuthError('binding_unsupported')
      return proven.context
    },

    close: () => recorder.close(),
  }
}

/** What a guard refuses because of the rule that admitted the call, not because of its own requirement. */
const MADE_BY_RULES: ReadonlySet<RefusalCode> = new Set(['scope_not_delegated', 'method_not_delegated'])

/** What became of a call, judged on its response alone. */
function resultOf(visit: Visit, finished: boolean, status: number): AuditResult {
  if (visit.refusedByGuard) return 'refused'
  if (!finished) return 'aborted'
  return status >= 500 ? 'failed' : 'completed'
}
