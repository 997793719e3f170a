// The guards of one route, in both frameworks: each verifies the token and demands the same scope.
import { guardOptions } from './exchange.mjs'
import { bearerMiddleware, expressJwtMiddleware, peerNamed } from './peers.mjs'
import { SCOPE } from './tokens.mjs'

export const UNGUARDED = 'unguarded'

/**
 * @typedef {object} Guard
 * @property {string} name
 * @property {'floor' | 'peer' | 'behalf'} kind
 * @property {readonly string[]} algorithms
 * @property {'direct' | 'delegated'} tokens
 * @property {((environment: import('./peers.mjs').Environment, algorithm: string) => unknown)} [express] middleware functions, or a promise of them
 * @property {((environment: import('./peers.mjs').Environment, algorithm: string) => unknown)} [koa]
 */

function behalf(adapter) {
  return async (environment) => {
    const { resourceServer } = await adapter()
    const api = resourceServer(guardOptions(environment))
    return [api.authenticate(), api.guard({ scopes: SCOPE })]
  }
}

const BEHALF = {
  kind: 'behalf',
  express: behalf(() => import('@behalf/express')),
  koa: behalf(() => import('@behalf/koa')),
}

/** A guard written by hand around a function that verifies, as somebody who takes a bare library writes it. */
function handwritten(name) {
  const { kind, algorithms, create } = peerNamed(name)
  return {
    name,
    kind,
    algorithms,
    express: async (...given) => [expressAround(await create(...given))],
    koa: async (...given) => [koaAround(await create(...given))],
  }
}

/** The status for a call: 200, or why it is refused. */
function judge(claims) {
  return typeof claims?.scope === 'string' && claims.scope.split(' ').includes(SCOPE) ? 200 : 403
}

function bearerOf({ headers: { authorization } }) {
  return authorization?.startsWith('Bearer ') ? [authorization.slice(7)] : null
}

/**
 * @param {(...credentials: string[]) => unknown} verify
 * @param {(request: import('node:http').IncomingMessage) => string[] | null} [credentialsOf] what a request shows; `null`: nothing
 */
export function expressAround(verify, credentialsOf = bearerOf) {
  const refuse = (response, status) => response.status(status).set('WWW-Authenticate', 'Bearer').end()
  return (request, response, next) => {
    const go = (claims) => {
      const status = judge(claims)
      if (status !== 200) return refuse(response, status)
      request.auth = claims
      next()
    }
    const credentials = credentialsOf(request)
    if (credentials === null) return refuse(response, 401)
    try {
      const claims = verify(...credentials)
      if (typeof claims?.then !== 'function') return go(claims)
      claims.then(go, () => refuse(response, 401))
    } catch {
      refuse(response, 401)
    }
  }
}

/** The same for Koa. */
export function koaAround(verify, credentialsOf = bearerOf) {
  return async (context, next) => {
    const credentials = credentialsOf(context.req)
    if (credentials === null) return context.throw(401)
    let claims
    try {
      claims = verify(...credentials)
      if (typeof claims?.then === 'function') claims = await claims
    } catch {
      return context.throw(401)
    }
    if (judge(claims) !== 200) return context.throw(403)
    context.state.auth = claims
    return next()
  }
}

async function bearerGuard(...given) {
  const { requiredScopes } = await import('express-oauth2-jwt-bearer')
  return [await bearerMiddleware(...given), requiredScopes(SCOPE)]
}

async function expressJwtGuard(environment, algorithm) {
  const scope = (request, response, next) => (judge(request.auth) === 200 ? next() : response.status(403).end())
  return [await expressJwtMiddleware(environment, algorithm), scope]
}

async function koaJwtGuard({ issuer, audience, jwksUri }, algorithm) {
  const { default: koaJwt } = await import('koa-jwt')
  const { default: jwksRsa } = await import('jwks-rsa')
  const scope = (context, next) => (judge(context.state.user) === 200 ? next() : context.throw(403))
  return [koaJwt({ secret: jwksRsa.koaJwtSecret({ jwksUri, cache: true }), algorithms: [algorithm], issuer, audience }), scope]
}

/** @type {readonly Guard[]} */
export const GUARDS = [
  { name: UNGUARDED, kind: 'floor', express: () => [], koa: () => [] },
  { name: 'behalf', ...BEHALF },
  { name: 'behalf, delegated', ...BEHALF, tokens: 'delegated' },
  handwritten('by hand, cache'),
  handwritten('by hand, thread pool'),
  handwritten('fast-jwt, cache'),
  handwritten('jose'),
  handwritten('aws-jwt-verify'),
  {
    name: 'express-oauth2-jwt-bearer',
    kind: 'peer',
    express: bearerGuard,
  },
  { name: 'express-jwt + jwks-rsa', kind: 'peer', algorithms: ['RS256', 'PS256', 'ES256'], express: expressJwtGuard },
  { name: 'koa-jwt + jwks-rsa', kind: 'peer', algorithms: ['RS256', 'PS256', 'ES256'], koa: koaJwtGuard },
].map((guard) => ({ algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'], tokens: 'direct', ...guard }))

/** @public for http-server.mjs, which is told the file that its guards stand in */
export function guardNamed(name) {
  const guard = GUARDS.find((each) => each.name === name)
  if (guard === undefined) throw new Error(`there is no guard named "${name}"`)
  return guard
}
