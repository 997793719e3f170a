/** Type tests: this file only has to compile. Nothing in it runs, and no user code needs a cast. */
import type { AuthContext, DelegatedContext } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/koa'
import Koa, { type Middleware } from 'koa'

/** Whether two types are the same, neither wider nor narrower; `any` is the same as nothing else. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <_Claim extends true>(): void => {}

const api = resourceServer({ issuers: [oauth({ issuer: 'https://as.example.test', audience: 'https://api.example.test' })] })

// An application's own state goes on behind authenticate(), and guards and further middleware chain.
new Koa<{ user: string }, { log: (line: string) => void }>()
  .use(api.authenticate())
  .use(api.guard({ scopes: 'orders:read' }))
  .use(async (context, next) => {
    holds<Same<typeof context.state.auth, AuthContext>>()
    holds<Same<typeof context.state.user, string>>()
    context.log(context.state.auth.subject.id)
    // @ts-expect-error nobody has put this there
    context.state.nobody
    const { auth } = context.state
    if (auth.kind !== 'direct') holds<Same<typeof auth, DelegatedContext>>()
    holds<Same<ReturnType<typeof api.contextOf>, AuthContext | null>>()
    const found = api.contextOf(context)
    const sameByNodesRequest = api.contextOf(context.req)
    const delegated: DelegatedContext = api.delegatedContextOf(context)
    context.body = [found, sameByNodesRequest, delegated.actor.id]
    await next()
  })

// Before authenticate() there is no context in the state.
new Koa<{ user: string }>().use((context) => {
  // @ts-expect-error authenticate() has not run
  context.state.auth
})

// A state of one's own that is given by middleware behind authenticate() chains too.
const withTenant: Middleware<{ tenant: string }> = async (context, next) => {
  context.state.tenant = 'acme'
  await next()
}
new Koa()
  .use(api.authenticate({ optional: true }))
  .use(withTenant)
  .use((context) => {
    const { auth, tenant } = context.state
    holds<Same<typeof auth, AuthContext>>()
    holds<Same<typeof tenant, string>>()
  })
