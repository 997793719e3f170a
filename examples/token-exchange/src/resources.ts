import type { ResourceServer } from 'oidc-provider'

/** How long a token is good, in seconds. One that was exchanged ends with those that it comes from. */
export const TOKEN_SECONDS = 300

/** What an actor token is good for: to be shown at the authorization server. */
export const ACTOR_SCOPE = 'act'

const ORDERS = 'orders:read orders:write orders:refund'

/** An agent's own address: tokens for it are meant to be exchanged by that agent. */
export function agentResource(clientId: string): string {
  return `https://agents.example.com/${clientId}`
}

/**
 * What tokens can be asked for (RFC 8707): an API, an agent, or the authorization server itself. The last is for actor tokens: they say
 * who somebody is, and open no API.
 */
export function resourcesOf(
  issuer: string,
  apis: readonly string[],
  agents: readonly string[],
): ReadonlyMap<string, ResourceServer> {
  const resource = (scope: string): ResourceServer => ({
    scope,
    accessTokenFormat: 'jwt', // RFC 9068
    accessTokenTTL: TOKEN_SECONDS,
    jwt: { sign: { alg: 'ES256' } },
  })
  return new Map([
    ...apis.map((api) => [api, resource(ORDERS)] as const),
    ...agents.map((agent) => [agentResource(agent), resource(ORDERS)] as const),
    [issuer, resource(ACTOR_SCOPE)],
  ])
}
