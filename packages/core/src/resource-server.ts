import { type AuditRequest, type AuditStage, createEvent, type EventDetails, uuidV7 } from './audit/event.js'
import { createRecorder } from './audit/recorder.js'
import type { RefusalCode } from './challenge.js'
import { booleanAt, membersOf, optional } from './config-shape.js'
import { isRequestScope } from './delegation/claim-mapping.js'
import { type AuthContext, admitted, type DelegatedContext, isDelegated } from './delegation/context.js'
import { AuthError, ConfigError } from './errors.js'
import { type ResourceServerOptions, resolveOptions } from './options.js'
import { admitsMethod, type Decision, decide } from './policy/decide.js'
import { askHook } from './policy/hook.js'
import { type CompiledRequirement, compileRequirement, judgeRequirement, type Requirement } from './policy/requirement.js'
import type { CompiledRule } from './policy/rule.js'
import type { RequestView, ResponseView } from './request-view.js'
import { readCredentials } from './token/credentials.js'
import { VerifiedCache } from './token/verified-cache.js'
import {
  createVerifier,
  type Evidence,
  evidenceOf,
  isRefused,
  NO_EVIDENCE,
  type ProvenToken,
  type RefusedToken,
} from './verifier.js'

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

/** Whether the next handler may run: not where the client was gone before it. */
export type Passage = 'go_on' | 'client_gone'

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

/** The server's own record of one request. */
interface Visit extends AuditRequest {
  state: 'under_way' | 'anonymous' | 'admitted' | 'refused'
  /** Settles when `authenticate()` is through. */
  passage: Promise<Passage>
  /** Why the request was refused; an error of the application's own where one of its functions threw. */
  failure: unknown
  proven: ProvenToken | null
  context: AuthContext | null
  /** The rule that admitted the call. */
  rule: CompiledRule | null
  /** Its decision is recorded, so that an outcome is due and guards record their refusals. */
  recorded: boolean
  refusedByGuard: boolean
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
  const visits = new WeakMap<object, Visit>()
  if (settings.mode === 'report') {
    process.emitWarning("behalf: mode 'report' lets calls through that no delegation rule admits", { code: 'BEHALF_REPORT_MODE' })
  }

  /** A request's way up to its handler; the steps of `docs/architecture.md`. */
  async function admit(visit: Visit, response: ResponseView, anonymousToo: boolean): Promise<Passage> {
    let stage: AuditStage = 'credentials'
    let evidence = NO_EVIDENCE
    const hold = <T extends object | null>(result: T | RefusedToken): T => {
      if (result === null || !isRefused(result as ProvenToken | RefusedToken)) return result as T
      const refused = result as RefusedToken
      evidence = refused.evidence
      throw refused.error
    }
    try {
      const token = readCredentials(visit.view, settings.credentialsFrom)
      if (token === null) {
        if (!anonymousToo) throw new AuthError('credentials_missing')
        visit.state = 'anonymous'
        return 'go_on'
      }
      stage = 'verify'
      const proven: ProvenToken = hold(await verifier.prove(token))
      hold(await verifier.stillGood(proven))
      evidence = evidenceOf(proven)
      visit.proven = proven

      stage = 'bind'
      if (proven.bound) throw new AuthError('binding_unsupported')
    } catch (error) {
      if (error instanceof AuthError) await noteRefusal(visit, stage, error, null, evidence)
      throw error
    }
    const decision = await applyRules(visit, visit.proven)
    return await recordDecision(visit, response, decision)
  }

  /** Direct calls need no rule. In `report` mode a refusal made by the rules becomes a note, and the call goes on. */
  async function applyRules(visit: Visit, { context }: ProvenToken): Promise<Decision | null> {
    if (!isDelegated(context)) {
      visit.context = context
      return null
    }
    const decision = await decide(settings.rules, context, visit.view, limits.hookMilliseconds)
    const { refusal, rule } = decision
    if (refusal === null) {
      visit.context = decision.context
      visit.rule = rule
    } else if (settings.mode === 'report') {
      visit.context = admitted(context, { rule: null, scopes: context.scopes, wouldRefuse: refusal })
    } else {
      const error = refused(refusal)
      await noteRefusal(visit, 'rules', error, context, NO_EVIDENCE, rule)
      throw error
    }
    return decision
  }

  /** `access.decision` of stage `rules`, accepted before anything else happens; then the outcome is waited for. */
  async function recordDecision(visit: Visit, response: ResponseView, decision: Decision | null): Promise<Passage> {
    const { context } = visit
    visit.state = 'admitted'
    if (!recorder.wants(false, context, false)) return 'go_on'
    const reason = decision?.refusal ?? null
    const admission = { decision: reason === null ? 'allow' : 'would_refuse', reason, rule: decision?.rule?.id ?? null } as const
    const accepted = await recorder.accept(
      await eventOf(visit, { type: 'access.decision', stage: 'rules', ...admission, context }),
    )

    const noteOutcome = async (result: NonNullable<EventDetails['result']>, status: number | null) => {
      const outcome = { type: 'access.outcome', stage: 'response', ...admission, context: visit.context, result, status } as const
      recorder.note(await eventOf(visit, outcome))
    }
    if (!accepted && recorder.unrecorded === 'refuse') {
      await noteOutcome('not_run', null) // a sink may have taken the decision, or take it yet
      throw refused('audit_unavailable')
    }
    if (response.ended) {
      await noteOutcome('not_run', null)
      return 'client_gone'
    }
    visit.recorded = true
    response.onEnd((finished) => {
      const { status } = response
      const result = visit.refusedByGuard ? 'refused' : !finished ? 'aborted' : status >= 500 ? 'failed' : 'completed'
      void noteOutcome(result, status)
    })
    return 'go_on'
  }

  /** Why a requirement refuses a visit, or `null`. In `report` mode what a rule's narrowing refuses is noted, and relaxed. */
  async function judge(visit: Visit, context: AuthContext, requirement: CompiledRequirement): Promise<RefusalCode | null> {
    let current = context
    let refusal = judgeMethod(visit) ?? judgeRequirement(requirement, current)
    if (
      (refusal === 'scope_not_delegated' || refusal === 'method_not_delegated') &&
      settings.mode === 'report' &&
      isDelegated(current)
    ) {
      current = await relax(visit, current, refusal)
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

  async function relax(visit: Visit, context: DelegatedContext, reason: RefusalCode): Promise<DelegatedContext> {
    const scopes = visit.proven?.context.scopes ?? context.scopes
    const relaxed = admitted(context, { rule: null, scopes, wouldRefuse: reason })
    const rule = visit.rule?.id ?? null
    visit.context = relaxed
    visit.rule = null
    recorder.note(
      await eventOf(visit, {
        type: 'access.decision',
        stage: 'requirement',
        decision: 'would_refuse',
        reason,
        rule,
        context: relaxed,
      }),
    )
    return relaxed
  }

  function refused(code: RefusalCode, scopes: readonly string[] = []): AuthError {
    const ourTrouble = code === 'rule_unavailable' || code === 'audit_unavailable'
    return new AuthError(code, { scopes, ...(ourTrouble && { retryAfterSeconds: limits.retryAfterSeconds }) })
  }

  async function noteRefusal(
    visit: Visit,
    stage: AuditStage,
    { code: reason, status }: AuthError,
    context: AuthContext | null,
    evidence: Evidence,
    rule: CompiledRule | null = null,
  ): Promise<void> {
    if (!recorder.wants(true, context, evidence.carriesDelegation)) return
    const refusal = {
      type: 'access.decision',
      decision: 'refuse',
      stage,
      reason,
      status,
      rule: rule?.id ?? null,
      context,
    } as const
    recorder.note(await eventOf(visit, context === null ? { ...refusal, token: evidence } : refusal))
  }

  async function eventOf(visit: Visit, details: EventDetails) {
    const { proven } = visit
    if (proven === null) return createEvent(visit, details, now())
    const { issuer } = proven
    const recordable = (scopes: readonly string[]) => [
      ...new Set(
        scopes.map((scope) =>
          isRequestScope(scope, issuer.claims.mapping)
            ? (issuer.claims.mapping.requestScopePrefixes.find((prefix) => scope.startsWith(prefix)) ?? '')
            : scope,
        ),
      ),
    ]
    const { context, decision } = details
    const keys = await verifier.ageSecondsOf(issuer)
    return createEvent(
      visit,
      {
        ...details,
        keysAgeSeconds: keys,
        tokenScopes: context ? recordable(context.tokenScopes) : [],
        effectiveScopes: context && decision !== 'refuse' ? recordable(context.scopes) : [],
      },
      now(),
    )
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

  function begin({ key, request, response }: Exchange, anonymousToo: boolean): Promise<Passage> {
    const startedAt = now()
    const visit: Visit = {
      requestId: uuidV7(startedAt),
      view: request,
      startedAt,
      state: 'under_way',
      passage: Promise.resolve('go_on'),
      failure: null,
      proven: null,
      context: null,
      rule: null,
      recorded: false,
      refusedByGuard: false,
    }
    visits.set(key, visit)
    visit.passage = admit(visit, response, anonymousToo).catch((error: unknown) => {
      visit.state = 'refused'
      visit.failure = error
      throw error
    })
    return visit.passage
  }

  return {
    refusals: settings.refusals,
    contextProperty: settings.contextProperty,

    authenticate(authenticateOptions = {}) {
      const members = membersOf(authenticateOptions, 'authenticate()', ['optional'])
      const anonymousToo = optional(members, 'optional', 'authenticate()', booleanAt, false)
      return async (exchange) => {
        const visit = visits.get(exchange.key)
        if (visit === undefined) return begin(exchange, anonymousToo)
        const passage = await visit.passage
        if (visit.state === 'anonymous' && !anonymousToo) throw new AuthError('credentials_missing')
        return passage
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
        const error = refused(refusal, refusal === 'scope_insufficient' ? [...compiled.scopes, ...compiled.anyScope] : [])
        await noteRefusal(visit, 'requirement', error, visit.context, NO_EVIDENCE, visit.rule)
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
