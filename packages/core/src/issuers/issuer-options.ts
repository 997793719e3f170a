import type { BindingMode } from '../binding/binding-policy.js'
import type { RequiredValue } from '../claims/claim-check.js'
import type { DecryptionOptions } from '../decryption/decrypter.js'
import type { DelegationKind, Dialect } from '../delegation/dialect.js'
import type { JwkSet } from '../keys/static-key-set.js'
import type { StatusListOptions } from '../status-list/status-list-options.js'
import type { Algorithm } from '../token/algorithms.js'
import type { JsonObject } from '../token/json.js'
import type { ActorOptions } from './actor-options.js'
import type { ClaimOptions } from './claim-options.js'
import type { IssuerIntrospectionOptions } from './token-ways.js'

/** An authorization server that this API trusts, with its keys, audience and dialect. The presets make such objects. */
export interface IssuerOptions {
  /** Compared exactly with `iss` (RFC 9068 4); need not be a URL. */
  readonly issuer: string
  /** This API's name at the issuer, one or several; the explicit `null` says that tokens have no `aud` at all, and refuses one that has. */
  readonly audience: string | readonly string[] | null
  /** Where the keys are: https, or http on loopback. Without `jwksUri` and `jwks` they are discovered from the issuer's URL. */
  readonly jwksUri?: string
  /** The keys themselves. Each must be usable. */
  readonly jwks?: JwkSet
  /** Accepted `alg`. Default: every asymmetric one that behalf knows. */
  readonly algorithms?: readonly Algorithm[]
  /** Accepted header `typ`; `null`: may be absent. Default `at+jwt` (RFC 9068 4). */
  readonly tokenTypes?: readonly (string | null)[]
  /** Accepted clients; needed where `aud` is absent or names a client. */
  readonly clientIds?: readonly string[]
  /** Says that every client of the issuer is accepted where `audience` is `null`. */
  readonly anyClient?: boolean
  /** Claims that must be there, whatever their value. `iss`, `sub` and `exp` always must, `aud` unless it is `null`. */
  readonly presentClaims?: readonly string[]
  /** Claim → the value, or a list of values, that it must have; `null` in a list: may be absent; `'any'`: no condition. */
  readonly requiredClaims?: Readonly<Record<string, RequiredValue | readonly RequiredValue[]>>
  /** Where client, scopes, tenant, grant and party types stand. Default: `client_id` and `scope`. */
  readonly claims?: ClaimOptions
  /** How delegation is written; several ways if the issuer has several; `null`: not read, so that every delegation claim is foreign. Default: `act` of RFC 8693. */
  readonly actor?: ActorOptions | readonly ActorOptions[] | null
  /** What a delegated token is: a fixed kind, or a synchronous function of the verified claims that returns one. Default `delegation`. */
  readonly kind?: DelegationKind | ((claims: JsonObject) => DelegationKind)
  /** What `may_act` means: `expose` (default) it; `refuse` tokens that have it; `refuse_without_act`: they are grants, not access tokens. */
  readonly mayAct?: Dialect['mayAct']
  /**
   * Known delegation markers of other systems that this issuer uses for something else. They are not looked at any more, so
   * never name one that still says that somebody acts: such a call would pass as direct.
   */
  readonly ignoredMarkers?: readonly string[]
  /** Claims that carry authority beside scopes, added to the usual ones (roles, groups, …): kept out of a delegated context's `claims`. */
  readonly authorityClaims?: readonly string[]
  /** Claims that hold a whole token for a downstream API; see `embeddedToken`. */
  readonly embeddedTokens?: readonly string[]
  /**
   * Types of `authorization_details` (RFC 9396) that this API knows, compared exactly: those are checked in shape and stand in the
   * context. Default: the claim is not read.
   */
  readonly authorizationDetails?: readonly string[]
  /**
   * How the issuer is asked about tokens that only it can read (RFC 7662). At most one issuer of a server can have it, since an opaque token
   * does not say whose it is. A token that is a JWT by its shape is proved as one, and never asked about.
   */
  readonly introspection?: IssuerIntrospectionOptions
  /**
   * All tokens of this issuer are asked about, also those that are JWTs by their shape and name it, or nobody, as their issuer. It needs no
   * keys then, unless its answers are signed. Default `false`.
   */
  readonly opaqueOnly?: boolean
  /** Opens tokens that the issuer encrypts for this API (RFC 7516). Plain ones are then refused. */
  readonly decryption?: DecryptionOptions
  /** Looks each token up in the Token Status List that it names (draft-ietf-oauth-status-list). */
  readonly statusList?: true | StatusListOptions
  /** Whether tokens may, or must, be bound to a key (RFC 9449). Anything but `off` needs `publicOrigins` and `dpop` of the server. Default `off`. */
  readonly dpop?: BindingMode
  /** Whether tokens may, or must, be bound to a client certificate (RFC 8705 3). Default `off`. */
  readonly mtls?: BindingMode
}

/** Names of all issuer options. */
export const ISSUER_MEMBERS: readonly (keyof IssuerOptions)[] = [
  'issuer',
  'audience',
  'jwksUri',
  'jwks',
  'algorithms',
  'tokenTypes',
  'clientIds',
  'anyClient',
  'presentClaims',
  'requiredClaims',
  'claims',
  'actor',
  'kind',
  'mayAct',
  'ignoredMarkers',
  'authorityClaims',
  'embeddedTokens',
  'authorizationDetails',
  'introspection',
  'opaqueOnly',
  'decryption',
  'statusList',
  'dpop',
  'mtls',
]
