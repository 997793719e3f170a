import { ConfigError } from '../errors.js'
import type { IssuerOptions } from './issuer-options.js'
import { joinPreset, type PresetOptions, presetMembers } from './preset.js'

/** Options of {@link descope}. */
export interface DescopeOptions extends PresetOptions {
  /** The project's id; also the `iss` of its tokens, unless `issuer` says another. */
  readonly projectId: string
  /** The `iss` of the tokens, for projects that write a URL there. */
  readonly issuer?: string
  /** For projects that add an `aud`. Default `null`. */
  readonly audience?: string | readonly string[] | null
}

const PROJECT_ID = /^[A-Za-z0-9_-]+$/

/**
 * Descope session tokens. They have no `aud` and name no client: **every API of the project accepts every token of the
 * project**. `drn` tells session tokens (`DS`) from refresh tokens (`DSR`); `rexp` is the refresh token's end and not an
 * expiry. Scopes are the `permissions`, with those of the tenant that the token selects (`dct`), of no other tenant.
 */
export function descope(options: DescopeOptions): IssuerOptions {
  const own = ['projectId', 'issuer', 'audience']
  presetMembers(options, 'descope', own)
  const { projectId, issuer = projectId, audience = null } = options
  if (typeof projectId !== 'string' || !PROJECT_ID.test(projectId)) {
    throw new ConfigError('descope().projectId must be a project id: letters, digits, "_" and "-"')
  }
  return joinPreset(options, 'descope', own, {
    issuer,
    audience,
    ...(audience === null && options.clientIds === undefined && { anyClient: true }),
    ...(options.jwks === undefined && { jwksUri: `https://api.descope.com/v2/keys/${projectId}` }),
    tokenTypes: ['JWT', null],
    requiredClaims: { drn: 'DS' },
    claims: {
      ...(options.clientIds === undefined && { client: [] }),
      scopes: { claim: 'permissions', format: 'list' },
      tenant: 'dct',
      tenantScopes: { claim: 'tenants', member: 'permissions' },
    },
    actor: { claim: 'act', selfIsDirect: true },
    kind: 'impersonation',
    authorityClaims: ['roles', 'permissions', 'tenants'],
  })
}
