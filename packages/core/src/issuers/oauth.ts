import { membersOf } from '../config-shape.js'
import type { ActorOptions } from './actor-options.js'
import type { IssuerOptions } from './issuer-options.js'
import { joinPreset, type PresetOptions, presetMembers } from './preset.js'

/** Options of {@link oauth}. */
export interface OAuthOptions extends PresetOptions {
  /** `iss`, compared exactly (RFC 9068 4); keys are discovered from it (RFC 8414) unless they are given. */
  readonly issuer: string
  /** This API's name at the issuer (`aud`, RFC 9068 4), one or several of which a token must name one. */
  readonly audience: string | readonly string[]
  /** Stricter readings of `act`, for example those of the actor profile: `{ issuer: 'required', required: true }`. */
  readonly actor?: Pick<ActorOptions, 'id' | 'issuer' | 'required' | 'selfIsDirect'>
}

/**
 * An issuer of JWT access tokens by the standards: RFC 9068 (all claims of section 2.2 are required, `typ` is `at+jwt`) and
 * RFC 8693 4.1 (`act`). Actors and subjects share one name space: an `act` that states the subject's own issuer and id, and
 * nothing more, is a direct call.
 */
export function oauth(options: OAuthOptions): IssuerOptions {
  const own = ['issuer', 'audience', 'actor']
  const members = presetMembers(options, 'oauth', own)
  const actor = membersOf(Object.hasOwn(members, 'actor') ? members['actor'] : {}, 'oauth().actor', [
    'id',
    'issuer',
    'required',
    'selfIsDirect',
  ])
  return joinPreset(options, 'oauth', own, {
    issuer: options.issuer,
    audience: options.audience,
    tokenTypes: ['at+jwt'],
    presentClaims: ['client_id', 'iat', 'jti'],
    actor: { claim: 'act', selfIsDirect: true, ...actor },
    kind: 'delegation',
  })
}
