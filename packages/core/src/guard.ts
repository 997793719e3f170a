import type { RefusalCode } from './challenge.js'
import { type AuthContext, isDelegated } from './delegation/context.js'
import type { Settings } from './options.js'
import { admitsMethod } from './policy/decide.js'
import { askHook } from './policy/hook.js'
import { type CompiledRequirement, challengeDetails, judgeDpop, judgeRequirement } from './policy/requirement.js'
import type { Refusals } from './refusals.js'
import type { RulesStep } from './rules-step.js'
import { andThen, type Eventual } from './thenable.js'
import type { Visit, VisitLog } from './visit.js'

/** Lets a call pass that a route's requirement admits. Throws {@link AuthError} for any other. */
export type Guard = (visit: Visit, requirement: CompiledRequirement) => Eventual<void>

export function createGuard(settings: Settings, log: VisitLog, { errorOf, told }: Refusals, { relax }: RulesStep): Guard {
  const { mode, limits } = settings

  /** Why a requirement refuses a visit, or `null`. In `report` mode what a rule's limits refuse is recorded, and relaxed. */
  function judge(visit: Visit, context: AuthContext, requirement: CompiledRequirement): Eventual<RefusalCode | null> {
    const refusal =
      judgeDpop(requirement, isBoundToKey(visit)) ?? judgeMethod(visit) ?? judgeRequirement(requirement, context, visit, settings)
    if (refusal === null) return askCheck(visit, context, requirement)
    if (mode !== 'report' || !MADE_BY_RULES.has(refusal) || !isDelegated(context)) return refusal
    return andThen(relax(visit, context, refusal), (relaxed) =>
      relaxed === null
        ? 'audit_unavailable'
        : (judgeRequirement(requirement, relaxed, visit, settings) ?? askCheck(visit, relaxed, requirement)),
    )
  }

  function askCheck({ view }: Visit, context: AuthContext, { check }: CompiledRequirement): Eventual<RefusalCode | null> {
    if (check === null) return null
    return andThen(askHook(check, context, view, limits.hookMilliseconds), (answer) =>
      answer === 'yes' ? null : answer === 'no' ? 'requirement_failed' : 'rule_unavailable',
    )
  }

  return (visit, requirement) => {
    const { context } = visit
    return andThen(context === null ? 'credentials_missing' : judge(visit, context, requirement), (refusal) => {
      if (refusal === null) return
      const error = errorOf(refusal, challengeDetails(refusal, requirement, visit.context))
      visit.guardStatus = error.status
      log.refused(visit, 'requirement', error, { context: visit.context, rule: visit.admission.rule })
      throw told(visit.scheme, error)
    })
  }
}

/** A method-override middleware may have run since the rule was asked. */
function judgeMethod({ rule, view }: Visit): RefusalCode | null {
  return rule === null || admitsMethod(rule, view) ? null : 'method_not_delegated'
}

/** Whether the token is bound to a key: past `bind`, its sender has proved to hold it. */
function isBoundToKey({ proven }: Visit): boolean {
  const confirmation = proven?.confirmation ?? null
  return confirmation !== null && confirmation !== 'unsupported' && confirmation.jkt !== null
}

/** What a guard refuses because of the rule that admitted the call, not because of its own requirement. */
const MADE_BY_RULES: ReadonlySet<RefusalCode> = new Set(['scope_not_delegated', 'method_not_delegated'])
