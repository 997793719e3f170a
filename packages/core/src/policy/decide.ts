import type { RefusalCode } from '../challenge.js'
import { admitted, type DelegatedContext } from '../delegation/context.js'
import type { RequestView } from '../request-view.js'
import { andThen, type Eventual } from '../thenable.js'
import { askHook } from './hook.js'
import type { CompiledRule } from './rule.js'
import { createRuleIndex } from './rule-index.js'
import { narrowScopes } from './scopes.js'

/** What the rules say about a delegated call. */
interface Decision {
  /** Why the call is refused, `null` where it is admitted. */
  readonly refusal: RefusalCode | null
  /** The rule that decided, `null` where none fits. */
  readonly rule: CompiledRule | null
  /** With the rule's name and the scopes that it leaves, where the call is admitted. */
  readonly context: DelegatedContext
}

/**
 * Asks the rules about a delegated call.
 * @param context before any rule, with the token's own scopes; shared by every request of the token
 * @param memo of the token: what these rules found for it before
 */
export type Decide = (
  context: DelegatedContext,
  memo: FitMemo,
  request: RequestView,
  hookMilliseconds: number,
) => Eventual<Decision>

/**
 * What the rules found for one token. It lies with the token rather than in a `WeakMap`, whose values the collector of young
 * objects takes for reachable (docs/decisions/0015).
 */
export interface FitMemo {
  fit: Fit | null
}

/**
 * The first rule that fits decides; its limits then hold or refuse, and never lead to the next rule. Only the current actor is
 * looked at: everyone behind it is history (RFC 8693 4.1).
 *
 * Which rule fits, and which scopes it leaves, depends on the token alone: it is found once for each of them. Limits and `when`
 * are asked for every request.
 */
export function createDecider(rules: readonly CompiledRule[]): Decide {
  const index = createRuleIndex(rules)

  function fitOf(context: DelegatedContext): Fit {
    const rule = index.first(context)
    return rule === null ? NO_RULE : { rule, admitted: admission(rule, context) }
  }

  return (context, memo, request, hookMilliseconds) => {
    memo.fit ??= fitOf(context)
    const { rule, admitted } = memo.fit
    if (rule === null || admitted === null) return { refusal: 'actor_unauthorized', rule: null, context }
    const limit = firstLimit(rule, context, request)
    if (limit !== null) return { refusal: limit, rule, context }
    if (rule.when === null) return admitted
    return andThen(askHook(rule.when, admitted.context, request, hookMilliseconds), (answer) => {
      if (answer === 'yes') return admitted
      return { refusal: answer === 'no' ? 'actor_unauthorized' : 'rule_unavailable', rule, context }
    })
  }
}

/** The rule for a token, and what comes of it where its limits hold. */
type Fit = { readonly rule: CompiledRule; readonly admitted: Decision } | { readonly rule: null; readonly admitted: null }

const NO_RULE: Fit = { rule: null, admitted: null }

function admission(rule: CompiledRule, context: DelegatedContext): Decision {
  const scopes = narrowScopes(context.scopes, rule.scopes, rule.exceptScopes)
  return Object.freeze({ refusal: null, rule, context: admitted(context, { rule: rule.id, scopes, wouldRefuse: null }) })
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
