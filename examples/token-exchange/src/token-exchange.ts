/// <reference path="./oidc-provider.d.ts" />
import type { AccessToken, Client, Provider, TokenEndpointGrantContext } from 'oidc-provider'
import { InvalidRequest, InvalidScope, InvalidTarget } from 'oidc-provider/lib/helpers/errors.js'
import {
  buildTokenResponse,
  checkDpopReplay,
  checkDpopRequired,
  checkMtlsCert,
  findAccount,
  resolveRequestedResources,
  validateDpop,
} from 'oidc-provider/lib/helpers/grants.js'
import { TOKEN_EXCHANGE } from './clients.js'
import { type Actor, readOwnToken, type SignIn, type TokenClaims, type TokenReader } from './presented-token.js'
import { agentResource } from './resources.js'

/** The only type that is taken and given (RFC 8693 3). */
export const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token'

/** Parameters of the request (RFC 8693 2.1). */
interface ExchangeParameters {
  readonly subject_token?: string
  readonly subject_token_type?: string
  readonly actor_token?: string
  readonly actor_token_type?: string
  readonly requested_token_type?: string
  readonly audience?: string | string[]
}

const PARAMETERS = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'audience',
  'resource',
  'scope',
] as const

type Target = NonNullable<AccessToken['resourceServer']>
type ExchangeContext = TokenEndpointGrantContext<ExchangeParameters>

/** Where a token comes from that was issued by an exchange. */
export interface Exchange {
  /** Who acts, and behind them whoever acted before. */
  readonly act: Actor
  /** What the subject has signed in for: it ends with that. */
  readonly signIn: SignIn
  /** Ids of the subject token and the actor token. */
  readonly parents: readonly string[]
}

/** Tokens in the making, so that whoever writes their claims knows what to write. */
export type Exchanges = WeakMap<object, Exchange>

/** Lets clients exchange a token of somebody (the subject) and one of somebody else (the actor) for one that names both. */
export function offerTokenExchange(provider: Provider, reader: TokenReader, exchanges: Exchanges): void {
  const handler = async (ctx: ExchangeContext): Promise<void> => {
    const { client } = ctx.oidc
    const proof = await validateDpop(provider, ctx)
    checkDpopRequired(provider, ctx, proof)
    const certificate = checkMtlsCert(provider, ctx)
    const token = new provider.AccessToken({ client, accountId: '', grantId: '', gty: TOKEN_EXCHANGE })
    if (proof !== undefined) token.setThumbprint('jkt', proof.thumbprint)
    if (certificate !== undefined) token.setThumbprint('x5t', certificate)

    const { subject, actor } = readTokens(ctx, reader)
    requireHolder(client, token, subject, 'subject_token')
    requireHolder(client, token, actor, 'actor_token')
    requireMayAct(subject, actor)
    if ((await findAccount(provider, ctx, subject.sub)) === undefined) throw new InvalidRequest('the subject is nobody here')

    const target = await targetOf(provider, ctx)
    token.resourceServer = target
    token.scope = scopeOf(ctx, subject, target)
    token.accountId = subject.sub
    token.exp = Math.min(subject.exp, actor.exp) // it must not outlive what it comes from
    exchanges.set(token, { act: actOf(actor, subject), signIn: signInOf(subject), parents: [subject.jti, actor.jti] })
    await checkDpopReplay(provider, ctx, proof, client.clientId)

    readTokens(ctx, reader) // once more: what they come of may have been taken back meanwhile
    ctx.oidc.entity('AccessToken', token)
    ctx.body = buildTokenResponse(provider, {
      accessToken: await token.save(),
      issuedTokenType: ACCESS_TOKEN_TYPE,
      tokenType: token.tokenType,
      expiresIn: token.remainingTTL,
      scope: token.scope,
    })
  }
  provider.registerGrantType<ExchangeParameters>(TOKEN_EXCHANGE, handler, PARAMETERS, ['resource', 'audience'])
}

/** The two tokens, proved; anything wrong with them is `invalid_request` (RFC 8693 2.2.2). */
function readTokens({ oidc: { params } }: ExchangeContext, reader: TokenReader): { subject: TokenClaims; actor: TokenClaims } {
  const one = (name: 'subject_token' | 'actor_token'): TokenClaims => {
    const value = params[name]
    // Without an actor this would be impersonation, and nobody could see who really calls: it is not offered.
    if (value === undefined) throw new InvalidRequest(`${name} is missing`)
    if (params[`${name}_type`] !== ACCESS_TOKEN_TYPE) throw new InvalidRequest(`${name}_type must be ${ACCESS_TOKEN_TYPE}`)
    const claims = readOwnToken(value, reader)
    if (claims === null) throw new InvalidRequest(`${name} is not a valid access token of this server`)
    return claims
  }
  const { requested_token_type: requested = ACCESS_TOKEN_TYPE } = params
  if (requested !== ACCESS_TOKEN_TYPE) throw new InvalidRequest(`only ${ACCESS_TOKEN_TYPE} is issued`)
  const tokens = { subject: one('subject_token'), actor: one('actor_token') }
  if (tokens.actor.aud !== reader.issuer) throw new InvalidRequest('actor_token is meant for somebody else')
  if (tokens.actor.act !== undefined) throw new InvalidRequest('actor_token is delegated itself: an actor has to come in person')
  return tokens
}

/**
 * A stolen token is not exchanged either. Whoever brings one is the client that it was issued to, and holds the key or certificate that
 * it is bound to; or it is the agent that the token was made for.
 */
function requireHolder(client: Client, holder: AccessToken, { client_id, aud, cnf }: TokenClaims, name: string): void {
  if (aud === agentResource(client.clientId)) return
  const holds = cnf?.jkt === holder.jkt && cnf?.['x5t#S256'] === holder['x5t#S256']
  if (client_id !== client.clientId || !holds) throw new InvalidRequest(`${name} belongs to somebody else`)
}

/** The subject has said who may act (RFC 8693 4.4): that very party, and nobody of the same name elsewhere. */
function requireMayAct({ may_act: may }: TokenClaims, actor: TokenClaims): void {
  if (may?.iss !== actor.iss || may.sub !== actor.sub) throw new InvalidRequest('the actor may not act for this subject')
}

/** The one place that the token is for; it is named as `resource` or as `audience`, which mean the same here. */
async function targetOf(provider: Provider, ctx: ExchangeContext): Promise<Target> {
  const { params } = ctx.oidc
  const [target, ...others] = new Set([params.resource ?? [], params.audience ?? []].flat())
  if (target === undefined || others.length > 0) throw new InvalidTarget('name one resource, or one audience')
  params.resource = target
  const [resource] = await resolveRequestedResources(provider, ctx)
  if (resource === undefined) throw new InvalidTarget('the target is not known')
  return resource
}

/** What was asked for, or else all that there is: scopes of the subject token which the target knows. */
function scopeOf({ oidc: { params } }: ExchangeContext, { scope = '' }: TokenClaims, target: Target): string {
  const granted = scope.split(' ').filter((each) => target.scopes.has(each))
  const asked = params.scope?.split(' ') ?? granted
  const excess = asked.find((each) => !granted.includes(each))
  if (excess !== undefined) throw new InvalidScope('the subject token does not have this scope', excess)
  return asked.join(' ')
}

/** The new token comes of the same sign-in. */
function signInOf({ grant_id, sid }: TokenClaims): SignIn {
  return { ...(grant_id !== undefined && { grant_id }), ...(sid !== undefined && { sid }) }
}

/** The new actor, and nested in it whoever acted before (RFC 8693 4.1). */
function actOf({ iss, sub, sub_profile }: TokenClaims, { act }: TokenClaims): Actor {
  return { iss, sub, ...(sub_profile !== undefined && { sub_profile }), ...(act !== undefined && { act }) }
}
