// The guards of one route that demands proofs of possession; each demands the same scope too.
import { dpopBearerMiddleware, dpopByHand, dpopOptions } from './dpop-peers.mjs'
import { expressAround, koaAround, UNGUARDED } from './guards.mjs'
import { SCOPE } from './tokens.mjs'

export const PEER = 'express-oauth2-jwt-bearer'

function behalf(adapter) {
  return async (environment) => {
    const { resourceServer } = await adapter()
    const api = resourceServer(dpopOptions(environment))
    return [api.authenticate(), api.guard({ scopes: SCOPE })]
  }
}

function handwritten(options) {
  return {
    kind: 'floor',
    express: (environment, algorithm) => [expressAround(dpopByHand(environment, algorithm, options), credentialsOf)],
    koa: (environment, algorithm) => [koaAround(dpopByHand(environment, algorithm, options), credentialsOf)],
  }
}

function credentialsOf({ method, headers: { authorization, dpop } }) {
  return authorization?.startsWith('DPoP ') && dpop !== undefined ? [authorization.slice(5), dpop, method] : null
}

async function bearerGuard(...given) {
  const { requiredScopes } = await import('express-oauth2-jwt-bearer')
  return [await dpopBearerMiddleware(...given), requiredScopes(SCOPE)]
}

/** `replay`: what becomes of a proof that comes a second time. That is looked at before the load, as is everything that all must refuse. */
const GUARDS = [
  { name: UNGUARDED, kind: 'floor', replay: 'accepted', express: () => [], koa: () => [] },
  {
    name: 'behalf',
    kind: 'behalf',
    replay: 'refused',
    express: behalf(() => import('@behalf/express')),
    koa: behalf(() => import('@behalf/koa')),
  },
  { name: 'by hand', replay: 'refused', ...handwritten({}) },
  { name: 'by hand, thread pool', replay: 'refused', ...handwritten({ onPool: true }) },
  { name: PEER, kind: 'peer', replay: 'accepted', express: bearerGuard },
]

export function guardsFor(framework) {
  return GUARDS.filter((guard) => guard[framework] !== undefined)
}

/** @public for http-server.mjs, which is told the file that its guards stand in */
export function guardNamed(name) {
  return GUARDS.find((each) => each.name === name)
}
