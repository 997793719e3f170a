import type { RefusalCode } from '../challenge.js'
import { admitted, type DelegatedContext } from '../delegation/context.js'
import type { RequestView } from '../request-view.js'
import { askHook } from './hook.js'
import { type CompiledRule, fitsRule } from './rule.js'
import { narrowScopes } from './scopes.js'

/** What the rules say about a delegated call. */
export interface Decision {
  /** Why the call is refused, `null` where it is admitted. */
  readonly refusal: RefusalCode | null
  /** The rule that decided, `null` where none fits. */
  readonly rule: CompiledRule | null
  /** With the rule's name and the scopes that it leaves, where the call is admitted. */
  readonly context: DelegatedContext
}

/**
 * The first rule that fits decides; its limits then hold or refuse, and never lead to the next rule. Only the current actor is
 * looked at: everyone behind it is history (RFC 8693 4.1).
 *
 * @param context before any rule, with the token's own scopes
 */
export async function decide(
  rules: readonly CompiledRule[],
  context: DelegatedContext,
  request: RequestView,
  hookMilliseconds: number,
): Promise<Decision> {
  const rule = rules.find((each) => fitsRule(each, context)) ?? null
  if (rule === null) return { refusal: 'actor_unauthorized', rule, context }
  const limit = firstLimit(rule, context, request)
  if (limit !== null) return { refusal: limit, rule, context }

  const scopes = narrowScopes(context.scopes, rule.scopes, rule.exceptScopes)
  const narrowed = admitted(context, { rule: rule.id, scopes, wouldRefuse: null })
  const answer = rule.when === null ? 'yes' : await askHook(rule.when, narrowed, request, hookMilliseconds)
  if (answer === 'yes') return { refusal: null, rule, context: narrowed }
  return { refusal: answer === 'no' ? 'actor_unauthorized' : 'rule_unavailable', rule, context }
}

/** The limits of a rule that fits, except `when`, in the order in which they are asked. */
function firstLimit(rule: CompiledRule, context: DelegatedContext, request: RequestView): RefusalCode | null {
  if (context.chain.length > rule.maxDepth) return 'delegation_too_deep'
  if (!admitsMethod(rule, request)) return 'method_not_delegated'
  const { issuedAt, expiresAt } = context.token
  if (rule.maxLifetimeSeconds !== null && (issuedAt === null || expiresAt - issuedAt > rule.maxLifetimeSeconds)) {
    return 'delegation_too_long'
  }
  return null
}

/** Whether a rule leaves the method to the actor: the one on the wire and the framework's, which an override may have changed. */
export function admitsMethod(rule: CompiledRule, request: RequestView): boolean {
  return rule.methods === null || (rule.methods.has(request.method) && rule.methods.has(request.wireMethod))
}
