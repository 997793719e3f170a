import type { RefusalCode } from './challenge.js'
import { admitted, type DelegatedContext, isDelegated } from './delegation/context.js'
import type { Settings } from './options.js'
import type { ProvenToken } from './proven-token.js'
import type { Refusals } from './refusals.js'
import { delegatedChannel } from './telemetry.js'
import { andThen, type Eventual } from './thenable.js'
import type { Visit, VisitLog } from './visit.js'

/** What the delegation rules make of a call, and what `report` mode makes of their refusals. */
export interface RulesStep {
  /**
   * Gives the visit its context. Direct calls need no rule. In `report` mode a refusal made by the rules becomes a note, and the call goes on.
   * @throws {AuthError} where no rule admits the call
   */
  apply(visit: Visit, proven: ProvenToken): Eventual<void>
  /**
   * Makes the call one that no rule admits as it is, for its handler, its guards and its outcome: once that is recorded.
   * @returns the relaxed context; `null` where the sinks did not accept that, and everything stays as it was
   */
  relax(visit: Visit, context: DelegatedContext, reason: RefusalCode): Eventual<DelegatedContext | null>
}

export function createRulesStep(settings: Settings, log: VisitLog, { errorOf }: Refusals): RulesStep {
  const { decide, mode } = settings

  /** The context of a call that goes on though a rule would refuse it: with all that its token says. */
  function unruled(context: DelegatedContext, wouldRefuse: RefusalCode, { scopes, authorizationDetails }: TokenGrants) {
    return admitted(context, { rule: null, scopes, wouldRefuse, authorizationDetails })
  }

  function tell({ kind }: DelegatedContext, rule: string | null, reason: RefusalCode | null): void {
    if (!delegatedChannel.heard) return
    const decision = reason === null ? 'allow' : mode === 'enforce' ? 'refuse' : 'would_refuse'
    delegatedChannel.publish({ kind, rule, decision, reason })
  }

  return {
    apply(visit, { context, memo }) {
      visit.context = context
      if (!isDelegated(context)) return
      return andThen(decide(context, memo, visit.view, settings), (decision) => {
        const { refusal, rule, context: narrowed, consent } = decision
        const name = rule?.id ?? null
        tell(context, name, refusal)
        visit.consent = consent
        visit.loginCounts = rule?.loginCounts ?? false
        if (refusal === null) {
          visit.context = narrowed
          visit.rule = rule
          visit.admission = { decision: 'allow', reason: null, rule: name }
          return
        }
        if (mode === 'enforce') {
          const error = errorOf(refusal)
          log.refused(visit, 'rules', error, { context, rule: name })
          throw error
        }
        visit.context = unruled(context, refusal, context)
        visit.admission = { decision: 'would_refuse', reason: refusal, rule: name }
      })
    },

    relax(visit, context, reason) {
      const relaxed = unruled(context, reason, visit.proven?.context ?? context)
      const admission = { decision: 'would_refuse', reason, rule: visit.admission.rule } as const
      const after: Visit = { ...visit, requestId: visit.requestId, context: relaxed, rule: null, admission }
      return andThen(log.admitted(after, 'requirement'), (goesOn) => {
        if (!goesOn) return null
        visit.context = relaxed
        visit.rule = null
        visit.admission = admission
        tell(context, admission.rule, reason)
        return relaxed
      })
    },
  }
}

/** What a token grants before any rule has narrowed it. */
type TokenGrants = Pick<ProvenToken['context'], 'scopes' | 'authorizationDetails'>
