import type { AuditSink, ResourceServerOptions } from '@behalf/core'
import { createTestIssuer } from '@behalf/testing'
import { startExpressApi } from './express-api.js'
import { trustedIssuers } from './issuers.js'
import { startKoaApi } from './koa-api.js'
import type { RunningApi } from './listen.js'
import { delegationRules } from './rules.js'
import { createTokens, type TokenName } from './tokens.js'

/** Issuer and APIs, listening. */
export interface Demo {
  readonly issuer: string
  readonly apis: readonly RunningApi[]
  readonly tokens: Readonly<Record<TokenName, string>>
  close(): Promise<void>
}

/**
 * Starts everything, or nothing: what is already listening is closed again where a later part cannot start.
 * @param portBase the issuer's port; the APIs take the next two. `null`: free ports
 * @param sinkOf where an API's audit events go
 */
export async function startDemo(portBase: number | null, sinkOf: (api: RunningApi['name']) => AuditSink): Promise<Demo> {
  const port = (offset: number) => (portBase === null ? 0 : portBase + offset)
  const running: { close(): Promise<void> }[] = []
  const close = async () => {
    for (const each of running.reverse()) await each.close()
  }
  try {
    const server = await createTestIssuer({ algorithms: ['EdDSA'], port: port(0) })
    running.push(server)
    const options = (api: RunningApi['name']): ResourceServerOptions => ({
      issuers: trustedIssuers(server),
      delegation: delegationRules(server.issuer),
      // 'always', so that direct calls and forged tokens are seen too; by default only delegated calls are recorded.
      audit: { sinks: [sinkOf(api)], record: 'always' },
    })
    const express = await startExpressApi(options('express'), port(1))
    running.push(express)
    const koa = await startKoaApi(options('koa'), port(2))
    running.push(koa)
    return { issuer: server.issuer, apis: [express, koa], tokens: createTokens(server), close }
  } catch (error) {
    await close()
    throw error
  }
}
