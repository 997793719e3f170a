import { booleanAt, optional } from '../config-shape.js'
import type { IssuerOptions } from './issuer-options.js'
import { joinPreset, type PresetOptions, presetMembers } from './preset.js'

/** Options of {@link curity}. */
export interface CurityOptions extends PresetOptions {
  /** `iss` of the server's profile, compared exactly; its keys are discovered from it unless they are given. */
  readonly issuer: string
  /** This API's name at the issuer (`aud`), one or several of which a token must name one. */
  readonly audience: string | readonly string[]
  /** Read `act_as` too: there the token's `sub` is the actor and `act_as.sub` the subject. Without it, `act_as` refuses a token. Default `false`. */
  readonly actAs?: boolean
}

/**
 * Curity Identity Server. `purpose` tells access tokens from others; `delegationId` is the grant. Scopes that begin with
 * `act_as:` or `act_as_account:` only ask the server for something and are no authority here. Tokens that a token procedure
 * embeds are named in `embeddedTokens`.
 */
export function curity(options: CurityOptions): IssuerOptions {
  const own = ['issuer', 'audience', 'actAs']
  const actAs = optional(presetMembers(options, 'curity', own), 'actAs', 'curity()', booleanAt, false)
  const shared = { selfIsDirect: true } as const
  return joinPreset(options, 'curity', own, {
    issuer: options.issuer,
    audience: options.audience,
    tokenTypes: ['JWT', 'at+jwt', null],
    requiredClaims: { purpose: 'access_token' },
    claims: { grant: 'delegationId', requestScopePrefixes: ['act_as:', 'act_as_account:'] },
    actor: [{ claim: 'act', ...shared }, ...(actAs ? [{ claim: 'act_as', direction: 'subject', ...shared } as const] : [])],
    kind: 'impersonation',
  })
}
