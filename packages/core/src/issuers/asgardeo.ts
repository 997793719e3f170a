import { ConfigError } from '../errors.js'
import type { IssuerOptions } from './issuer-options.js'
import { joinPreset, type PresetOptions, presetMembers } from './preset.js'

/** Options of {@link asgardeo}: the organization's name at Asgardeo, or the issuer of a WSO2 Identity Server with its keys. */
export interface AsgardeoOptions extends PresetOptions {
  /** Name of the organization at Asgardeo: issuer and keys follow from it. Either this or `issuer`. */
  readonly organization?: string
  /** `iss` of a server of your own, compared exactly; needs `jwksUri` or `jwks` beside it. */
  readonly issuer?: string
  /** Applications whose tokens are accepted; `aud` names the application, so this is the only fence. */
  readonly clientIds: readonly string[]
  /** For applications with API audiences of their own. Default: the client ids. */
  readonly audience?: string | readonly string[]
}

const ORGANIZATION = /^[A-Za-z0-9_-]+$/

/**
 * Asgardeo and WSO2 Identity Server. The *subject token* of an impersonation comes from the same issuer with the same
 * audience; it is told apart by `typ` (`at+jwt` for access tokens), by `aut`, and by `may_act` without `act`, and refused by
 * each of them. `org_id` is the tenant of the token; after an organization switch, `user_org` is the subject's home.
 */
export function asgardeo(options: AsgardeoOptions): IssuerOptions {
  const own = ['organization', 'issuer', 'audience']
  presetMembers(options, 'asgardeo', own)
  const { organization, clientIds } = options
  if ((organization === undefined) === (options.issuer === undefined)) {
    throw new ConfigError('asgardeo() needs either organization or issuer')
  }
  if (organization !== undefined && !(typeof organization === 'string' && ORGANIZATION.test(organization))) {
    throw new ConfigError('asgardeo().organization must be the name of an organization: letters, digits, "_" and "-"')
  }
  if (organization === undefined && options.jwksUri === undefined && options.jwks === undefined) {
    throw new ConfigError('asgardeo().issuer needs jwksUri or jwks beside it')
  }
  if (options.audience === null) {
    throw new ConfigError('asgardeo().audience must name audiences, or be left out: tokens always have one')
  }
  if (clientIds === undefined)
    throw new ConfigError('asgardeo().clientIds must name the accepted applications: `aud` names a client')
  const base = `https://api.asgardeo.io/t/${organization}/oauth2`
  const { introspection } = options
  return joinPreset(options, 'asgardeo', own, {
    issuer: options.issuer ?? `${base}/token`,
    audience: options.audience ?? clientIds,
    ...(organization !== undefined && options.jwks === undefined && { jwksUri: `${base}/jwks` }),
    tokenTypes: ['at+jwt'],
    presentClaims: ['aut'],
    claims: {
      client: ['client_id', 'azp'],
      tenant: 'org_id',
      subjectTenant: 'user_org',
      type: { claim: 'aut', client: ['APPLICATION', 'AGENT'], user: ['APPLICATION_USER'] },
    },
    actor: { claim: 'act', selfIsDirect: true },
    kind: 'impersonation',
    mayAct: 'refuse_without_act',
    // Its introspection endpoint writes the actor as a bare id, unlike its tokens.
    ...(introspection !== undefined && { introspection: { actor: { claim: 'act', encoding: 'string' }, ...introspection } }),
  })
}
