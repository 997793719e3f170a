// A delegated request's way through the core, without a framework, and with the header lines that clients and proxies send.
import { createResourceServer } from '@behalf/core'
import { guardOptions } from './exchange.mjs'
import { bearerOf, environmentOf, SCOPE, signPool, startIssuer } from './tokens.mjs'

const ALGORITHM = 'EdDSA'
const USER_AGENT = 'orders-agent/3.4 node/20'

/** The lines of one request beside its credentials; each request has its own. */
export function headersOf(number) {
  const hex = (0x1_0000_0000_0000 + number).toString(16).slice(1)
  return {
    'user-agent': USER_AGENT,
    'x-request-id': hex,
    traceparent: `00-4bf92f3577b34da6a3ce${hex}-00f0${hex}-01`,
  }
}

class Request {
  method = 'GET'
  wireMethod = 'GET'
  path = '/orders/4711'
  url = '/orders/4711'
  route = '/orders/:id'
  peer = '127.0.0.1'
  raw = null
  #headers

  constructor(authorization, number) {
    this.authorization = [authorization]
    this.#headers = headersOf(number)
  }

  header(name) {
    return this.#headers[name] ?? null
  }
}

class Response {
  status = 200
  ended = false
  #listeners = []

  onEnd(listener) {
    this.#listeners.push(listener)
  }

  end() {
    this.ended = true
    for (const listener of this.#listeners) listener(true)
  }
}

/** An issuer, and delegated tokens of it that come round and round, as those of agents at work do. */
export async function createCallers(count) {
  const issuer = await startIssuer()
  const tokens = await signPool({ issuer, algorithm: ALGORITHM, count, delegated: true })
  return { environment: environmentOf(issuer), tokens, close: () => issuer.close() }
}

/**
 * One delegated request after another through a resource server that records them in a sink.
 * @returns {Promise<() => unknown>} one request, until its response has ended: at once, or a promise. Every token was proved before
 */
export async function delegatedRequests({ environment, tokens }, sink) {
  const server = createResourceServer(guardOptions(environment, sink))
  const authenticate = server.authenticate()
  const guard = server.guard({ scopes: SCOPE })
  const afterwards = (passage, { key, response }) => {
    if (passage !== 'go_on') throw new Error(`authenticate() answered ${passage}`)
    const judged = guard(key)
    if (typeof judged?.then === 'function') return judged.then(() => response.end())
    response.end()
  }
  let number = 0
  const request = () => {
    const authorization = bearerOf(tokens[number % tokens.length])
    const exchange = { key: {}, request: new Request(authorization, number++), response: new Response() }
    const passage = authenticate(exchange)
    return typeof passage?.then === 'function'
      ? passage.then((value) => afterwards(value, exchange))
      : afterwards(passage, exchange)
  }
  for (const _token of tokens) await proved(request)
  return request
}

/** A token is proved before its call is recorded: that a slow disk refuses the call does not matter here. */
async function proved(request) {
  try {
    await request()
  } catch (error) {
    if (error.code !== 'audit_unavailable') throw error
  }
}
