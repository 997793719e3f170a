import type { AccessToken, ClientCredentials } from 'oidc-provider'
import { type Client, clientId } from './clients.js'
import type { People } from './people.js'
import type { Actor, SignIn } from './presented-token.js'
import type { Exchanges } from './token-exchange.js'

/** Claims of a token beside those of RFC 9068. */
export interface ExtraClaims extends SignIn {
  /** What the subject is. */
  readonly sub_profile: string
  /** Who acts for it (RFC 8693 4.1). */
  readonly act?: Actor
  /** Who may act next, at this server (RFC 8693 4.4). */
  readonly may_act?: Actor
}

/** Writes the claims that make delegation: of whom, by whom, and to whom it may be handed on. */
export function extraClaimsOf(
  token: AccessToken | ClientCredentials,
  issuer: string,
  people: People,
  clients: readonly Client[],
  exchanges: Exchanges,
): ExtraClaims {
  const client = clients.find(({ id }) => id === token.clientId)
  const subject = token.kind === 'AccessToken' ? token.accountId : (token.clientId ?? '')
  const { act, signIn } = exchanges.get(token) ?? { signIn: signInOf(token) }
  const holder = act?.sub ?? subject // whoever has the token now has asked for help
  const program = clients.find(({ id }) => id === holder)
  const helper = Object.values(people).find(({ id }) => id === holder)?.helper ?? program?.helper ?? null
  return {
    sub_profile: clients.find(({ id }) => id === subject)?.profile ?? 'user',
    ...(act !== undefined && { act }),
    ...(helper !== null && { may_act: { iss: issuer, sub: accountOf(helper, people, client) } }),
    ...signIn,
  }
}

/** Of a token that was not exchanged. `sid` is a name of the session, and not what its cookie holds. */
function signInOf(token: AccessToken | ClientCredentials): SignIn {
  if (token.kind !== 'AccessToken') return {}
  const { grantId, sessionUid } = token
  return { grant_id: grantId, ...(sessionUid !== undefined && { sid: sessionUid }) }
}

/** People are named as they are. A program has two registrations: meant is the one whose tokens are bound like those of the client at hand. */
function accountOf(helper: string, people: People, client: Client | undefined): string {
  return Object.hasOwn(people, helper) || client === undefined ? helper : clientId(helper, client.binding)
}
