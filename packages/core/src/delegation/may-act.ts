import type { Limits } from '../limits.js'
import { isObject, type JsonObject } from '../token/json.js'
import { readBareParty, readParty } from './actor-chain.js'
import { MALFORMED, type Malformed } from './claim-mapping.js'
import type { Dialect } from './dialect.js'
import type { Party } from './party.js'

/** Issuers write `may_act` by subject or by client id, whatever they do in `act`. */
const FORM = { naming: ['sub', 'client_id'], issuerRequired: false, profiles: null } as const

/**
 * Who may become an actor at the authorization server (RFC 8693 4.4); `null` where the token does not say. Nobody acts by it. An issuer
 * that writes `act` as a bare id writes this one so too.
 */
export function readMayAct(claims: JsonObject, { mapping, forms }: Dialect, limits: Limits): Party | null | Malformed {
  const value = claims['may_act']
  if (value === undefined) return null
  if (isObject(value)) return readParty(value, FORM, mapping, limits)
  const bare = forms.find(({ encoding, path }) => encoding === 'string' && path?.length === 1 && path[0] === 'act')
  return bare === undefined ? MALFORMED : readBareParty(value, bare, limits)
}

/**
 * Whether a token names a party as one that may become actor for its subject: the question of RFC 8693 4.4, for services that
 * exchange tokens themselves. It says nothing about who acts in this call.
 *
 * @param context a context, of which the token's issuer and `mayAct` are read
 * @param party who asks; `idClaim` defaults to `sub`. Where `may_act` does not say its issuer, the party's must be the token's
 */
export function mayBecomeActor(
  context: { readonly mayAct: Party | null; readonly token: { readonly issuer: string } },
  party: { readonly issuer: string; readonly id: string; readonly idClaim?: string },
): boolean {
  const { mayAct, token } = context
  if (mayAct === null) return false
  return mayAct.id === party.id && mayAct.idClaim === (party.idClaim ?? 'sub') && (mayAct.issuer ?? token.issuer) === party.issuer
}
