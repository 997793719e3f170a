import type { RefusalCode } from '../challenge.js'
import { admitted, type Consent, consented, type DelegatedContext } from '../delegation/context.js'
import type { RequestView } from '../request-view.js'
import { andThen, type Eventual } from '../thenable.js'
import { narrowDetails } from './details.js'
import type { CompiledRule } from './rule.js'
import { createRuleIndex } from './rule-index.js'
import { narrowScopes } from './scopes.js'
import { type Asked, askWhen, hasEnded, type When, type WhenSettings } from './when.js'

/** What the rules say about a delegated call. */
interface Decision {
  /** Why the call is refused, `null` where it is admitted. */
  readonly refusal: RefusalCode | null
  /** The rule that decided, `null` where none fits. */
  readonly rule: CompiledRule | null
  /** With the rule's name and what it leaves, where the call is admitted. */
  readonly context: DelegatedContext
  /** What the rule's `when` told of a consent, also where it said no. */
  readonly consent: Consent | null
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
  settings: WhenSettings,
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
 * are asked for every request; an answer of `when` is used again only where its rule says so, and while its consent lasts.
 */
export function createDecider(rules: readonly CompiledRule[]): Decide {
  const index = createRuleIndex(rules)
  const warned = new Set<CompiledRule>()

  function fitOf(context: DelegatedContext): Fit {
    const rule = index.first(context)
    return rule === null ? NO_RULE : { rule, admitted: admission(rule, context), kept: null, last: null, noes: 0 }
  }

  function ask(when: When, fit: RuleFit, context: DelegatedContext, request: RequestView, settings: WhenSettings) {
    const { noes } = fit
    return andThen(askWhen(when, fit.admitted.context, request, settings), ({ answer, consent, fault }: Asked): Decision => {
      const { rule } = fit
      if (answer === 'yes') return allowed(fit, consent, noes)
      if (answer === 'no') forget(fit)
      if (fault !== null) warnOf(rule, fault)
      return { refusal: answer === 'no' ? 'actor_unauthorized' : 'rule_unavailable', rule, context, consent }
    })
  }

  /** Its callers are answered as if the application had failed, which it has. */
  function warnOf(rule: CompiledRule, fault: string): void {
    if (warned.has(rule)) return
    warned.add(rule)
    process.emitWarning(
      `behalf: 'when' of the rule "${rule.id}" says allow in an object of a wrong shape: ${fault} (docs/delegation.md#consent)`,
      { code: 'BEHALF_WHEN_ANSWER' },
    )
  }

  return (context, memo, request, settings) => {
    memo.fit ??= fitOf(context)
    const { fit } = memo
    if (fit.rule === null) return { refusal: 'actor_unauthorized', rule: null, context, consent: null }
    const { rule, kept } = fit
    const limit = firstLimit(rule, context, request)
    if (limit !== null) return { refusal: limit, rule, context, consent: null }
    if (rule.when === null) return fit.admitted
    return kept !== null && !hasEnded(kept.consent, settings.now) ? kept : ask(rule.when, fit, context, request, settings)
  }
}

/** The rule for a token, and what comes of it where its limits hold. */
interface RuleFit {
  readonly rule: CompiledRule
  readonly admitted: Decision
  /** What an answer of `when` made of it, to be used again until its consent ends. */
  kept: Decision | null
  /** What the last admitting answer made of it: whoever tells the same again gets the same, and no new context is made of it. */
  last: Decision | null
  /** How often `when` has said no: a yes that was asked for before the last no is not kept. */
  noes: number
}

type Fit = RuleFit | { readonly rule: null }

const NO_RULE: Fit = Object.freeze({ rule: null })

function admission(rule: CompiledRule, context: DelegatedContext): Decision {
  const narrowed = admitted(context, {
    rule: rule.id,
    scopes: narrowScopes(context.scopes, rule.scopes, rule.exceptScopes),
    wouldRefuse: null,
    authorizationDetails: narrowDetails(context.authorizationDetails, rule.authorizationDetails),
  })
  return Object.freeze({ refusal: null, rule, context: narrowed, consent: null })
}

function allowed(fit: RuleFit, consent: Consent | null, noesBefore: number): Decision {
  if (consent === null) return fit.admitted
  const { last, admitted } = fit
  const decision: Decision =
    last !== null && tellsTheSame(last.consent, consent)
      ? last
      : Object.freeze({ ...admitted, context: consented(admitted.context, consent), consent })
  fit.last = decision
  if (fit.rule.whenCache && consent.expiresAt !== null && fit.noes === noesBefore) fit.kept = decision
  return decision
}

function tellsTheSame(one: Consent | null, other: Consent): boolean {
  return (
    one !== null &&
    one.consentId === other.consentId &&
    one.expiresAt === other.expiresAt &&
    one.ticket === other.ticket &&
    one.reason === other.reason
  )
}

function forget(fit: RuleFit): void {
  fit.kept = null
  fit.noes++
}

/** The limits of a rule that fits, except `when`, in the order in which they are asked. */
function firstLimit(rule: CompiledRule, context: DelegatedContext, request: RequestView): RefusalCode | null {
  if (context.chain.length > rule.maxDepth) return 'delegation_too_deep'
  if (rule.completeChain && context.notices.includes('chain_incomplete')) return 'chain_incomplete'
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
