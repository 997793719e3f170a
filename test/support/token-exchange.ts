/** Who takes part in the tests of the whole way, and what they get from the authorization server. */
import type { AuditEvent } from '@behalf/core'
import type { MemorySink } from '@behalf/testing'
import type { Cookies } from '../../examples/token-exchange/src/browser.js'
import type { Binding } from '../../examples/token-exchange/src/clients.js'
import { type ApiAnswer, connect, type OAuthClient, type Tokens } from '../../examples/token-exchange/src/oauth-client.js'
import { claimsOf } from '../../examples/token-exchange/src/printing.js'
import { ACTOR_SCOPE, agentResource } from '../../examples/token-exchange/src/resources.js'
import { ACCESS_TOKEN_TYPE } from '../../examples/token-exchange/src/token-exchange.js'
import type { World } from '../../examples/token-exchange/src/world.js'

type SentRequest = readonly [url: string, init: RequestInit]

/** The clients of one test, with keys or certificates of their own, and the tokens that everything begins with. */
export interface Cast {
  readonly helpdesk: OAuthClient
  readonly researcher: OAuthClient
  readonly translator: OAuthClient
  /** What each of them has sent, latest last. */
  readonly sent: Readonly<Record<'helpdesk' | 'researcher' | 'translator', SentRequest[]>>
  /** Ada's token for the API. */
  readonly ada: Tokens
  /** Sam's actor token. */
  readonly sam: Tokens
  /** Sam for Ada, for the API. */
  readonly support: Tokens
  /** Sam for Ada, for the researcher to exchange. */
  readonly errand: Tokens
  /** The researcher for Sam for Ada, for the API. */
  readonly agent: Tokens
}

/**
 * @param api the audience of the tokens
 * @param cookies of Ada's browser
 */
export async function castOf(world: World, binding: Binding, api: string, cookies?: Cookies): Promise<Cast> {
  const { issuer } = world.authorizationServer
  const sent: Cast['sent'] = { helpdesk: [], researcher: [], translator: [] }
  const client = (name: keyof Cast['sent']) => {
    const overhear = (url: string, init: RequestInit) => void sent[name].push([url, init])
    return connect(issuer, world.clients[binding][name], { ca: world.ca, overhear })
  }
  const [helpdesk, researcher, translator] = await Promise.all([client('helpdesk'), client('researcher'), client('translator')])
  const ada = await helpdesk.signIn(world.people.ada, api, 'orders:read orders:write orders:refund', cookies)
  const sam = await helpdesk.signIn(world.people.sam, issuer, ACTOR_SCOPE)
  const support = await helpdesk.exchange({ subject: ada, actor: sam, resource: api })
  const errand = await helpdesk.exchange({ subject: ada, actor: sam, resource: agentResource(researcher.id) })
  const own = await researcher.ownToken(issuer, ACTOR_SCOPE)
  const agent = await researcher.exchange({ subject: errand, actor: own, resource: api, scope: 'orders:read' })
  return { helpdesk, researcher, translator, sent, ada, sam, support, errand, agent }
}

/** The grant and the session that a token comes of, as it says. */
export function signInOf({ access_token }: Tokens): Readonly<Record<'grant_id' | 'sid', string>> {
  const { grant_id, sid } = claimsOf(access_token)
  return { grant_id: String(grant_id), sid: String(sid) }
}

/** The parameters of an exchange (RFC 8693 2.1), to be broken. */
export function exchangeParameters(subject: Tokens, actor: Tokens, resource: string): URLSearchParams {
  return new URLSearchParams({
    subject_token: subject.access_token,
    subject_token_type: ACCESS_TOKEN_TYPE,
    actor_token: actor.access_token,
    actor_token_type: ACCESS_TOKEN_TYPE,
    resource,
  })
}

/** How the authorization server has refused: status, `error` and `error_description` (RFC 6749 5.2). */
export async function refusalOf(
  request: Promise<unknown>,
): Promise<readonly [status: number, error: string, description: string]> {
  const thrown = await request.then(
    () => null,
    (error: { readonly status: number; readonly error: string; readonly error_description: string }) => error,
  )
  if (thrown === null) throw new Error('the authorization server has not refused')
  return [thrown.status, thrown.error, thrown.error_description]
}

/** An API's answer as far as refusals go: status, code, and scheme and error of the first challenge. */
export function toldBy({ status, code, challenges: [first] }: ApiAnswer): readonly unknown[] {
  return [status, code, first?.scheme ?? null, first?.parameters['error'] ?? null]
}

/** Both events of an admitted request, once it has ended. */
export async function recorded(sink: MemorySink): Promise<readonly [decision: AuditEvent, outcome: AuditEvent]> {
  const outcome = await sink.until(({ type }) => type === 'access.outcome')
  const decision = sink.events.find(({ type, requestId }) => type === 'access.decision' && requestId === outcome.requestId)
  if (decision === undefined) throw new Error('an outcome without a decision')
  return [decision, outcome]
}
