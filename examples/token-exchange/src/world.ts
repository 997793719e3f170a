import { randomBytes } from 'node:crypto'
import type { AuditSink, Revocation } from '@behalf/core'
import { createExpressApi } from './api-express.js'
import { createKoaApi } from './api-koa.js'
import { SECURITY_EVENTS } from './api-options.js'
import { type AuthorizationServer, startAuthorizationServer } from './authorization-server.js'
import { createCertificate } from './certificates.js'
import { type Clients, createClients } from './clients.js'
import { Consents, helpWanted } from './consents.js'
import { httpsFetch } from './https-fetch.js'
import { type HttpsServer, listenHttps } from './https-server.js'
import { createPeople, type People } from './people.js'
import type { RunningApi } from './running-api.js'
import type { EventStream } from './security-events.js'

/** The frameworks under the APIs. */
export type Framework = 'express' | 'koa'

/** The authorization server and both APIs, listening on this machine. */
export interface World {
  readonly people: People
  readonly clients: Clients
  readonly authorizationServer: AuthorizationServer
  /** Origins of the APIs. */
  readonly apis: Readonly<Record<Framework, string>>
  /** The certificate of all three servers. */
  readonly ca: string
  /** What customers have consented to; both APIs look it up. */
  readonly consents: Consents
  /** What the operator of an API can do: end tokens there. */
  revoke(framework: Framework, revocation: Revocation): Promise<void>
  /** Ends everything; the audit events are all written then. */
  close(): Promise<void>
}

/**
 * Starts everything, on free ports.
 * @param sinkOf where an API's audit events go
 */
export async function startWorld(sinkOf: (framework: Framework) => AuditSink): Promise<World> {
  const certificate = createCertificate('token exchange example')
  const ca = certificate.cert
  const servers: readonly HttpsServer[] = await Promise.all([1, 2, 3].map(() => listenHttps(certificate)))
  const [first, second, third] = servers as [HttpsServer, HttpsServer, HttpsServer]
  const apis = { express: second.origin, koa: third.origin }
  const people = createPeople()
  const clients = createClients()
  const consents = new Consents()
  consents.give(people.ada.id, helpWanted())
  const fetch = httpsFetch({ ca })
  const streams = { express: streamTo(apis.express), koa: streamTo(apis.koa) }
  const authorizationServer = startAuthorizationServer(first, {
    people,
    clients,
    apis: Object.values(apis),
    streams: Object.values(streams),
    fetch,
  })
  const surroundings = (framework: Framework) => ({
    origin: apis[framework],
    issuer: authorizationServer.issuer,
    sink: sinkOf(framework),
    consents,
    eventAuthorization: streams[framework].authorization,
    fetch,
  })
  const running: Record<Framework, RunningApi> = {
    express: createExpressApi(surroundings('express')),
    koa: createKoaApi(surroundings('koa')),
  }
  second.serve(running.express.listener)
  third.serve(running.koa.listener)
  return {
    people,
    clients,
    authorizationServer,
    apis,
    ca,
    consents,
    revoke: (framework, revocation) => running[framework].revoke(revocation),
    async close() {
      await Promise.all(servers.map((server) => server.close()))
      await Promise.all(Object.values(running).map((api) => api.close()))
    },
  }
}

/** Each API agrees upon a secret of its own with the authorization server. */
function streamTo(api: string): EventStream {
  return {
    endpoint: api + SECURITY_EVENTS,
    audience: api,
    authorization: `Bearer ${randomBytes(32).toString('base64url')}`,
  }
}
