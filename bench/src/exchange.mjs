// The smallest request and response that the core takes: what an adapter would make, without a framework's cost.
import { oauth } from '@behalf/core/issuers'
import { SCOPE } from './tokens.mjs'

class Request {
  method = 'GET'
  wireMethod = 'GET'
  path = '/orders'
  url = '/orders'
  route = '/orders'
  peer = '127.0.0.1'
  clientCertificate = null
  raw = null
  #proof

  constructor(authorization, proof) {
    this.authorization = [authorization]
    this.#proof = proof
  }

  header(name) {
    return name === 'dpop' ? this.#proof : null
  }
}

class Response {
  status = 200
  ended = false
  #listeners = []

  header() {
    return null
  }

  setHeader() {}

  onEnd(listener) {
    this.#listeners.push(listener)
  }

  end() {
    this.ended = true
    for (const listener of this.#listeners) listener(true)
  }
}

/** A sink in memory that keeps the last events only: one that grew would measure the garbage collector. */
export function recentEventsSink() {
  const events = new Array(1024)
  let count = 0
  return {
    write(event) {
      events[count++ % events.length] = event
    },
    get count() {
      return count
    },
  }
}

/** The rule that admits the delegated tokens of tokens.mjs. */
export const AGENT_RULE = {
  id: 'agents',
  kind: 'delegation',
  actor: { profile: 'ai_agent' },
  scopes: ['orders:*'],
  exceptScopes: ['orders:refund'],
  methods: 'safe',
}

/** Rules of an API whose delegated calls are recorded; two that do not fit stand before the one that does. */
const RULES = [
  { id: 'support', kind: 'impersonation', actor: 'any', scopes: ['orders:read'] },
  { id: 'partner', kind: 'delegation', actor: { profile: 'partner' }, scopes: ['orders:read'], maxLifetimeSeconds: 600 },
  AGENT_RULE,
]

/**
 * Options of a resource server that trusts an issuer, with rules and a sink.
 * @param {object} [issuerMore] further options of the issuer
 */
export function guardOptions({ issuer, audience, jwksUri }, sink = recentEventsSink(), issuerMore = {}) {
  return { issuers: [oauth({ issuer, audience, jwksUri, ...issuerMore })], delegation: RULES, audit: { sinks: [sink] } }
}

/**
 * One request's way: `authenticate()`, then `guard()` where it is asked for, then the response's end, which brings the record of
 * the outcome. A promise is awaited only where a step returns one, as adapters do.
 * @returns {(authorization: string, proof?: string | null) => unknown} true, or a promise of it; throws or rejects where a step refuses
 */
export function requestThrough(server, { guarded = false, requirement = guarded ? { scopes: SCOPE } : null } = {}) {
  const authenticate = server.authenticate()
  const guard = requirement === null ? null : server.guard(requirement)

  const afterwards = (passage, exchange) => {
    if (passage !== 'go_on') throw new Error(`authenticate() answered ${passage}`)
    const judged = guard?.(exchange.key)
    if (typeof judged?.then === 'function') return judged.then(() => finish(exchange))
    return finish(exchange)
  }
  return (authorization, proof = null) => {
    const exchange = { key: {}, request: new Request(authorization, proof), response: new Response() }
    const passage = authenticate(exchange)
    return typeof passage?.then === 'function'
      ? passage.then((value) => afterwards(value, exchange))
      : afterwards(passage, exchange)
  }
}

function finish({ response }) {
  response.end()
  return true
}
