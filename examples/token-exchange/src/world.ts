import type { AuditSink } from '@behalf/core'
import { createExpressApi } from './api-express.js'
import { createKoaApi } from './api-koa.js'
import { type AuthorizationServer, startAuthorizationServer } from './authorization-server.js'
import { createCertificate } from './certificates.js'
import { type Clients, createClients } from './clients.js'
import { httpsFetch } from './https-fetch.js'
import { type HttpsServer, listenHttps } from './https-server.js'
import { createPeople, type People } from './people.js'

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
  const authorizationServer = startAuthorizationServer(first, { people, clients, apis: Object.values(apis) })
  const { issuer } = authorizationServer
  const fetch = httpsFetch({ ca })
  const express = createExpressApi({ origin: apis.express, issuer, sink: sinkOf('express'), fetch })
  const koa = createKoaApi({ origin: apis.koa, issuer, sink: sinkOf('koa'), fetch })
  second.serve(express.listener)
  third.serve(koa.listener)
  return {
    people,
    clients,
    authorizationServer,
    apis,
    ca,
    async close() {
      await Promise.all(servers.map((server) => server.close()))
      await Promise.all([express.close(), koa.close()])
    },
  }
}
