import assert from 'node:assert/strict'
import type { Binding } from './clients.js'
import { helpWanted } from './consents.js'
import { httpsFetch } from './https-fetch.js'
import { connect, issuerOf, type OAuthClient, type Tokens } from './oauth-client.js'
import { claimsOf, partiesOf } from './printing.js'
import { ACTOR_SCOPE, agentResource } from './resources.js'
import { Teller } from './teller.js'
import type { World } from './world.js'

/** Where the story plays, and who is in it. */
interface Scene {
  readonly world: World
  /** The API's origin. */
  readonly api: string
  readonly issuer: string
  readonly teller: Teller
  readonly helpdesk: OAuthClient
  readonly researcher: OAuthClient
  readonly translator: OAuthClient
  /** Every request of the researcher, latest last. */
  readonly overheard: readonly (readonly [url: string, init: RequestInit])[]
}

/** A refusal or an admission, as the API answers it and records it. */
const admitted = (trail: string, status = 200) => ({ status, trail })
const forbidden = (trail: string) => ({ status: 403, trail })
const unauthorized = (trail: string) => ({ status: 401, trail })

/**
 * Tells the story at one API, with tokens that are bound to keys or to certificates, and checks each step.
 * @returns the lines that the audit trail has to have of it
 * @throws {AssertionError} where a step does not go as it should
 */
export async function tellStory(world: World, api: string, binding: Binding): Promise<readonly string[]> {
  const scene = await setScene(world, api, binding)
  const ada = await customerComes(scene)
  const { sam, support } = await supportComes(scene, ada)
  const { errand, agent } = await agentIsSent(scene, ada, sam)
  await anotherIsSent(scene, errand)
  await tokenIsStolen(scene, agent, binding)
  await tokenIsTakenBack(scene, ada, errand)
  await consentIsWithdrawn(scene, { ada, support, agent })
  await everythingIsTakenBack(scene, { ada, support, agent })
  return scene.teller.trail
}

/** The clients know nothing but the API's address; the API says who issues its tokens. */
async function setScene(world: World, api: string, binding: Binding): Promise<Scene> {
  const { ca } = world
  const clients = world.clients[binding]
  const teller = new Teller(api)
  const issuer = await issuerOf(httpsFetch({ ca }), api)
  assert.equal(issuer, world.authorizationServer.issuer)
  teller.asked('(nobody proven): GET (before routing) 401 credentials_missing')
  teller.tell('The API tells a newcomer who issues its tokens', issuer)
  const overheard: [string, RequestInit][] = []
  const [helpdesk, researcher, translator] = await Promise.all([
    connect(issuer, clients.helpdesk, { ca }),
    connect(issuer, clients.researcher, { ca, overhear: (url, init) => void overheard.push([url, init]) }),
    connect(issuer, clients.translator, { ca }),
  ])
  return { world, api, issuer, teller, helpdesk, researcher, translator, overheard }
}

/** @returns Ada's token */
async function customerComes({ world, api, teller, helpdesk }: Scene): Promise<Tokens> {
  const ada = await helpdesk.signIn(world.people.ada, api, 'orders:read orders:write orders:refund')
  const { cnf } = claimsOf(ada.access_token)
  teller.tell('Ada, a customer, signs in at the help desk', `a token for ${partiesOf(ada)}, bound to ${JSON.stringify(cnf)}`)
  await teller.call('She looks at her orders', helpdesk, ada, 'GET /orders', admitted('ada: GET /orders 200 in person'))
  return ada
}

/** @returns Sam's actor token, and the one that he has got for it and Ada's */
async function supportComes(scene: Scene, ada: Tokens): Promise<{ sam: Tokens; support: Tokens }> {
  const { world, api, issuer, teller, helpdesk } = scene
  const sam = await helpdesk.signIn(world.people.sam, issuer, ACTOR_SCOPE)
  teller.tell('Sam, of support, signs in', 'an actor token, for the authorization server')
  const unknown = unauthorized('(nobody proven): GET (before routing) 401 audience_mismatch')
  await teller.call('It opens no API', helpdesk, sam, 'GET /orders', unknown)

  const mallory = await helpdesk.signIn(world.people.mallory, issuer, ACTOR_SCOPE)
  const stranger = helpdesk.exchange({ subject: ada, actor: mallory, resource: api })
  await teller.refused('Mallory, whom Ada has not asked for help, wants to act for her', stranger)

  const support = await helpdesk.exchange({ subject: ada, actor: sam, resource: api })
  assert.equal(partiesOf(support), 'sam for ada')
  teller.tell('Sam, whom she has asked, exchanges her token and his', `a token for ${partiesOf(support)}`)
  const looks = admitted('sam for ada: GET /orders 200 rule support, case-7')
  await teller.call('Support looks into her account', helpdesk, support, 'GET /orders', looks)
  const refund = forbidden('sam for ada: POST /orders/:id/refund 403 scope_not_delegated')
  await teller.call('It pays nothing back', helpdesk, support, 'POST /orders/7/refund', refund)
  return { sam, support }
}

/** @returns what the agent was sent, and the token that it has got for it */
async function agentIsSent(scene: Scene, ada: Tokens, sam: Tokens): Promise<{ errand: Tokens; agent: Tokens }> {
  const { teller, helpdesk, researcher, api } = scene
  const errand = await helpdesk.exchange({ subject: ada, actor: sam, resource: agentResource(researcher.id) })
  const agent = await exchangeErrand(scene, researcher, errand, api)
  const parties = `${researcher.id} for sam for ada`
  assert.equal(partiesOf(agent), parties)
  teller.tell('Sam sends an agent, which exchanges what it was sent', `a token for ${parties}`)
  const call = (what: string, request: string, expected: { status: number; trail: string }) =>
    teller.call(what, researcher, agent, request, expected)
  await call('Its token is not good for writing', 'POST /orders', forbidden(`${parties}: POST /orders 403 scope_insufficient`))
  await call('Letters are for people only', 'GET /letters', forbidden(`${parties}: GET /letters 403 actor_unauthorized`))
  await call('The agent reads', 'GET /orders', admitted(`${parties}: GET /orders 200 rule agents, case-7`))
  return { errand, agent }
}

async function anotherIsSent(scene: Scene, errand: Tokens): Promise<void> {
  const { teller, researcher, translator, api } = scene
  const sentOn = await exchangeErrand(scene, researcher, errand, agentResource(translator.id))
  const second = await exchangeErrand(scene, translator, sentOn, api)
  const parties = `${translator.id} for ${researcher.id} for sam for ada`
  assert.equal(partiesOf(second), parties)
  const tooDeep = forbidden(`${parties}: GET (before routing) 403 delegation_too_deep`)
  await teller.call('The agent sends another one: three are too many', translator, second, 'GET /orders', tooDeep)
}

async function tokenIsStolen(scene: Scene, agent: Tokens, binding: Binding): Promise<void> {
  const { teller, translator, api, world, overheard } = scene
  const parties = partiesOf(agent)
  const mismatch = unauthorized(`${parties}: GET (before routing) 401 sender_mismatch`)
  const thief = binding === 'dpop' ? 'A thief signs proofs with another key' : 'A thief shows another certificate'
  await teller.call(thief, translator, agent, 'GET /orders', mismatch)
  const bare = { method: 'GET', headers: { authorization: `Bearer ${agent.access_token}` } }
  await teller.send('A thief tries it as a bearer token', httpsFetch(world), `${api}/orders`, bare, mismatch)
  const [url, init] = overheard.findLast(([each]) => each.startsWith(api)) ?? assert.fail('nothing was overheard')
  if (binding === 'dpop') {
    const replayed = unauthorized(`${parties}: GET (before routing) 401 proof_replayed`)
    await teller.send('A thief sends the very same request again', translator.fetch, url, init, replayed)
  }
  const laundered = exchangeErrand(scene, translator, agent, api)
  await teller.refused('A thief wants another token for it', laundered)
}

async function tokenIsTakenBack(scene: Scene, ada: Tokens, errand: Tokens): Promise<void> {
  scene.world.authorizationServer.revoke(ada.access_token)
  const late = exchangeErrand(scene, scene.researcher, errand, scene.api)
  await scene.teller.refused('Ada takes her token back: what came of it is exchanged no more', late)
}

/** Tokens for Ada, and those of others for her. */
interface Delegated {
  readonly ada: Tokens
  readonly support: Tokens
  readonly agent: Tokens
}

async function consentIsWithdrawn(scene: Scene, { ada, support, agent }: Delegated): Promise<void> {
  const { world, teller, helpdesk, researcher } = scene
  const without = (tokens: Tokens) => forbidden(`${partiesOf(tokens)}: GET (before routing) 403 actor_unauthorized`)
  const withOne = (tokens: Tokens, rule: string) => admitted(`${partiesOf(tokens)}: GET /orders 200 rule ${rule}, case-7`)

  world.consents.withdraw('ada')
  await teller.call('Ada withdraws her consent: support is let in no more', helpdesk, support, 'GET /orders', without(support))
  await teller.call('Nor is the agent that it has sent', researcher, agent, 'GET /orders', without(agent))
  await teller.call('Ada is', helpdesk, ada, 'GET /orders', admitted('ada: GET /orders 200 in person'))

  world.consents.give('ada', helpWanted())
  await teller.call('She consents again: support is let in', helpdesk, support, 'GET /orders', withOne(support, 'support'))
  await teller.call('And so is the agent', researcher, agent, 'GET /orders', withOne(agent, 'agents'))
}

async function everythingIsTakenBack(scene: Scene, { ada, support, agent }: Delegated): Promise<void> {
  const { world, teller, helpdesk, researcher } = scene
  await world.authorizationServer.revokeSession(String(claimsOf(ada.access_token)['sid']))
  teller.tell('Ada ends her session at the authorization server', 'both APIs have taken note')
  const revoked = (tokens: Tokens) => unauthorized(`${partiesOf(tokens)}: GET (before routing) 401 token_revoked`)
  await teller.call('Her own token is refused from now on', helpdesk, ada, 'GET /orders', revoked(ada))
  await teller.call("So is support's", helpdesk, support, 'GET /orders', revoked(support))
  await teller.call("And the agent's", researcher, agent, 'GET /orders', revoked(agent))
  await customerComes(scene) // her next session is another one
}

/** An agent exchanges a token of somebody, and its own, for one that names both. */
async function exchangeErrand({ issuer }: Scene, agent: OAuthClient, subject: Tokens, resource: string): Promise<Tokens> {
  const actor = await agent.ownToken(issuer, ACTOR_SCOPE)
  return agent.exchange({ subject, actor, resource, scope: 'orders:read' })
}
