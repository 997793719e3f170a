/** What a request can do while it is under way: leave, and come again from within. */
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { type AuditSink, ConfigError, type ResourceServerOptions } from '@behalf/core'
import { createResourceServer, type ResourceServer } from '@behalf/core/adapter'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import { memorySink } from '@behalf/testing'
import express from 'express'
import { describe, expect, test } from 'vitest'
import {
  AUDIENCE,
  anyRule,
  HeldResponse,
  ISSUER,
  JWKS,
  NOW_SECONDS,
  oauthIssuer,
  requestView,
  tokenOf,
} from '../packages/core/test/support/harness.js'
import { deferred } from './support/deferred.js'

const now = () => NOW_SECONDS * 1000

describe('a caller that drops its connection while its token waits for keys', () => {
  test('is recorded with its address', async () => {
    const sink = memorySink()
    const [asked, answer, closed] = [deferred(), deferred(), deferred()]
    const api = resourceServer({
      issuers: [oauth({ issuer: ISSUER, audience: AUDIENCE, jwksUri: `${ISSUER}/jwks` })],
      audit: { sinks: [sink], record: 'refusals' },
      fetch: async () => {
        asked.resolve()
        await answer.promise
        return Response.json(JWKS)
      },
      now,
    })
    const app = express()
    app.set('env', 'test')
    app.use((req, _res, next) => {
      req.socket.once('close', () => closed.resolve())
      next()
    })
    app.get('/orders', api.authenticate(), (_req, res) => void res.end())
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const expired = tokenOf({ iat: NOW_SECONDS - 7200, exp: NOW_SECONDS - 3600 })
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
      socket.write(`GET /orders HTTP/1.1\r\nhost: api\r\nauthorization: Bearer ${expired}\r\n\r\n`)
      await asked.promise
      socket.destroy()
      await closed.promise
      answer.resolve()
      for (let turn = 0; turn < 1000 && sink.events.length === 0; turn++) await new Promise((go) => setImmediate(go))
      expect(sink.events).toMatchObject([{ decision: 'refuse', reason: 'token_expired', net: { peer: '127.0.0.1' } }])
    } finally {
      await api.close()
      server.close()
      server.closeAllConnections()
    }
  })
})

describe('authenticate() that is called from within itself', () => {
  /** Asks again about the request that is under way, and keeps what came of it. */
  function world(more: (askAgain: () => void) => Partial<ResourceServerOptions>) {
    const again: Promise<unknown>[] = []
    let exchange: Parameters<ReturnType<ResourceServer['authenticate']>>[0] | null = null
    const askAgain = () => {
      if (exchange === null) return
      const inner = exchange
      again.push((async () => server.authenticate()(inner))().catch((error: unknown) => error))
    }
    const server = createResourceServer({ issuers: [oauthIssuer()], now, ...more(askAgain) })
    return {
      again,
      /** @param within whether the application asks again this time */
      async call(token: string, within: boolean) {
        const own = { key: {}, request: requestView(token), response: new HeldResponse() }
        exchange = within ? own : null
        return await server.authenticate()(own)
      },
    }
  }

  const mistake = expect.objectContaining({
    status: 500,
    message: expect.stringMatching(/^authenticate\(\) was called from within itself/),
  })

  test('by credentials.from is a ConfigError, never a passage', async () => {
    const { again, call } = world((askAgain) => ({
      credentials: {
        from: () => {
          askAgain()
          return null
        },
      },
    }))
    await call(tokenOf(), true)
    expect(again).toHaveLength(1)
    const error = await again[0]
    expect(error).toBeInstanceOf(ConfigError)
    expect(error).toEqual(mistake)
  })

  test('by a sink is one, too', async () => {
    const { again, call } = world((askAgain) => {
      const sink: AuditSink = { write: () => askAgain() }
      return { delegation: [anyRule()], audit: { sinks: [sink], record: 'delegated' } }
    })
    const token = tokenOf({ act: { sub: 'support-1' } })
    expect(await call(token, false)).toBe('go_on')
    expect(await call(token, true), 'a cached token: nothing has been waited for').toBe('go_on')
    expect(again.length).toBeGreaterThan(0)
    const error = await again[0]
    expect(error).toBeInstanceOf(ConfigError)
    expect(error).toEqual(mistake)
  })
})
