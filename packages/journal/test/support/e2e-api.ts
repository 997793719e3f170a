import type { AuditOptions, AuditSink, ResourceServerOptions } from '@behalf/core'
import { createTestIssuer, type TestIssuer } from '@behalf/testing'
import { type Answer, type Ask, ask, bearer } from '../../../../test/support/http.js'
import { FRAMEWORKS, type Framework, type RunningApi, startApi } from '../../../../test/support/servers.js'

/** A current major of each family: the older ones differ in nothing that a journal could see. */
export const DOORS: readonly Framework[] = FRAMEWORKS.filter(({ name }) => name === 'Express 5' || name === 'Koa 3')

export const ISSUER: TestIssuer = await createTestIssuer({ algorithms: ['EdDSA'] })

/** A token under which an agent calls; rules let it in. */
export function agentToken(actor = 'agent-1'): string {
  return ISSUER.token({ claims: { act: { sub: actor, sub_profile: 'ai_agent' } } })
}

/** A token under which somebody calls whom no rule lets in. */
export function strangerToken(actor = 'stranger-1'): string {
  return ISSUER.token({ claims: { act: { sub: actor } } })
}

/** A handler's view of a call. */
export type Handle = Parameters<Framework['handler']>[0]

/** An API whose handlers are counted. */
export interface JournaledApi extends RunningApi {
  /** `X-Request-Id` of every call whose handler ran. */
  readonly ran: readonly string[]
  /** A call on a connection of its own. */
  call(token: string | null, id: string, more?: Ask): Promise<Answer>
}

/** Starts an API whose only sink this is. @param handle what a handler does after it was counted; default: answers 200 */
export async function startJournaledApi(
  framework: Framework,
  sink: AuditSink,
  options: {
    readonly audit?: Omit<AuditOptions, 'sinks'>
    readonly server?: Partial<ResourceServerOptions>
    readonly handle?: Handle
  } = {},
): Promise<JournaledApi> {
  const ran: string[] = []
  const { audit, server, handle = (call) => call.json({}) } = options
  const running = await startApi(
    framework,
    {
      issuers: [ISSUER.options({ jwks: ISSUER.jwks() })],
      delegation: [{ id: 'agents', kind: 'delegation', actor: { profile: 'ai_agent' }, scopes: 'all' }],
      audit: { sinks: [sink], ...audit },
      ...server,
    },
    (app, api) => {
      const handler = framework.handler((call) => {
        ran.push(String(call.request.headers['x-request-id']))
        return handle(call)
      })
      app.use(api.authenticate())
      app.route('GET', '/direct-only', api.guard({ kind: 'direct' }), handler)
      app.route('GET', '/orders', api.guard({ scopes: 'orders:read' }), handler)
      app.use(handler)
    },
  )
  return {
    ...running,
    ran,
    call: (token, id, more = {}) =>
      ask(running.port, {
        ...more,
        headers: [['X-Request-Id', id], ...(token === null ? [] : [bearer(token)]), ...(more.headers ?? [])],
      }),
  }
}
