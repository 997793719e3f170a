import type { TokenName } from './tokens.js'

/** What must come of a call: from its answer, and from its audit events. */
export interface Expected {
  readonly status: number
  /** `null`: the token was not believed, so nobody is named. */
  readonly subject: string | null
  /** Current actor first. */
  readonly actors: readonly string[]
  /** The rule that admitted the call, or the code that refused it; `null` for a direct call, which needs no rule. */
  readonly decidedBy: string | null
  /** `stage:outcome` of each event, in order. */
  readonly events: readonly string[]
}

/** A call to try, by hand or by `--check`. */
export interface Call {
  readonly name: string
  /** One line for people: what happens, and why. */
  readonly expectation: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly token: TokenName
  readonly expected: Expected
}

const ADMITTED = ['rules:allow', 'response:completed']

export const calls: readonly Call[] = [
  {
    name: 'direct',
    expectation: '200: customer-7 calls in person; no rule is needed',
    method: 'GET',
    path: '/orders',
    token: 'user',
    expected: { status: 200, subject: 'customer-7', actors: [], decidedBy: null, events: ADMITTED },
  },
  {
    name: 'impersonated by support',
    expectation: '200: admin acts as user123, by the rule "support-helps" (a Curity token)',
    method: 'GET',
    path: '/orders',
    token: 'support',
    expected: { status: 200, subject: 'user123', actors: ['admin'], decidedBy: 'support-helps', events: ADMITTED },
  },
  {
    name: 'delegated to an agent',
    expectation: '201: checkout-agent orders for customer-7, by the rule "agents"',
    method: 'POST',
    path: '/orders',
    token: 'agent',
    expected: { status: 201, subject: 'customer-7', actors: ['checkout-agent'], decidedBy: 'agents', events: ADMITTED },
  },
  {
    name: 'a scope kept back',
    expectation: '403 scope_not_delegated: the token may refund, but the rule "agents" takes orders:refund away',
    method: 'POST',
    path: '/orders/order-1/refund',
    token: 'agent',
    expected: {
      status: 403,
      subject: 'customer-7',
      actors: ['checkout-agent'],
      decidedBy: 'scope_not_delegated',
      events: ['rules:allow', 'requirement:scope_not_delegated', 'response:refused'],
    },
  },
  {
    name: 'a nested chain',
    expectation: '200: planner-agent has handed on to checkout-agent, which acts for customer-7; two actors are allowed',
    method: 'GET',
    path: '/orders',
    token: 'chainOfTwo',
    expected: {
      status: 200,
      subject: 'customer-7',
      actors: ['checkout-agent', 'planner-agent'],
      decidedBy: 'agents',
      events: ADMITTED,
    },
  },
  {
    name: 'a chain too long',
    expectation: '403 delegation_too_deep: three actors, and the rule "agents" says maxDepth: 2',
    method: 'GET',
    path: '/orders',
    token: 'chainOfThree',
    expected: {
      status: 403,
      subject: 'customer-7',
      actors: ['checkout-agent', 'planner-agent', 'crawler-agent'],
      decidedBy: 'delegation_too_deep',
      events: ['rules:delegation_too_deep'],
    },
  },
  {
    name: 'a forged actor',
    expectation: "401 signature_invalid: it claims to be checkout-agent, but somebody else's key has signed it",
    method: 'GET',
    path: '/orders',
    token: 'forged',
    expected: { status: 401, subject: null, actors: [], decidedBy: 'signature_invalid', events: ['verify:signature_invalid'] },
  },
  {
    name: 'a subject token',
    expectation: '401 token_type_refused: it says who may become an actor (may_act); it is no access token (an Asgardeo token)',
    method: 'GET',
    path: '/orders',
    token: 'subjectToken',
    expected: { status: 401, subject: null, actors: [], decidedBy: 'token_type_refused', events: ['verify:token_type_refused'] },
  },
  {
    name: 'a forbidden route',
    expectation: '403 delegation_forbidden: a password is changed in person, never by support',
    method: 'POST',
    path: '/password',
    token: 'support',
    expected: {
      status: 403,
      subject: 'user123',
      actors: ['admin'],
      decidedBy: 'delegation_forbidden',
      events: ['rules:allow', 'requirement:delegation_forbidden', 'response:refused'],
    },
  },
  {
    name: 'a write under a read-only rule',
    expectation: '403 method_not_delegated: the rule "auditors-look" leaves GET, HEAD and OPTIONS only (an Asgardeo token)',
    method: 'POST',
    path: '/orders',
    token: 'auditor',
    expected: {
      status: 403,
      subject: 'customer-7',
      actors: ['auditor-2'],
      decidedBy: 'method_not_delegated',
      events: ['rules:method_not_delegated'],
    },
  },
]
