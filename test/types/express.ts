/** Type tests: this file only has to compile. Nothing in it runs, and no user code needs a cast. */
import type { Server } from 'node:http'
import type { AuthContext, DelegatedContext, DirectContext, Party, UnknownParty } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import '@behalf/express/request'
import express, { type Express, type Router } from 'express'

/** Whether two types are the same, neither wider nor narrower; `any` is the same as nothing else. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <_Claim extends true>(): void => {}

const api = resourceServer({ issuers: [oauth({ issuer: 'https://as.example.test', audience: 'https://api.example.test' })] })
const app: Express = express()

app.use(api.authenticate())
app.use(api.authenticate({ optional: true }))
app.use('/api', api.authenticate(), api.guard({ scopes: 'orders:read' }))

// Path parameters keep their inference behind one guard, behind several, and on a router.
app.get('/orders/:id', api.guard({ scopes: 'orders:read' }), (request, response) => {
  holds<Same<typeof request.params, { id: string }>>()
  const id: string = request.params.id
  response.json({ id, subject: request.auth.subject.id })
  // @ts-expect-error there is no such parameter
  request.params.order
})
app.get('/shops/:shop/orders/:id', api.authenticate(), api.guard(), api.guard({ kind: 'direct' }), async (request, response) => {
  const { shop, id } = request.params
  holds<Same<typeof shop, string>>()
  response.json({ shop, id })
})
const router: Router = express.Router()
router.post('/orders/:id', api.guard({ scopes: ['orders:write'] }), (request, response) => {
  response.json({ id: request.params.id, caller: api.contextOf(request) })
})
app.use('/api', router)
export const server: Server = app.listen(0)

// The context, by its kind.
app.get('/who', (request) => {
  const { auth } = request
  holds<Same<typeof auth, AuthContext>>()
  holds<Same<typeof auth.actor, Party | UnknownParty | null>>()
  if (auth.kind === 'direct') {
    holds<Same<typeof auth, DirectContext>>()
    holds<Same<typeof auth.actor, null>>()
    // @ts-expect-error a direct context has nothing that a rule could have narrowed
    auth.unnarrowed
  } else {
    holds<Same<typeof auth, DelegatedContext>>()
    holds<Same<typeof auth.kind, 'impersonation' | 'delegation'>>()
    const actorId: string | null = auth.actor.id
    if (auth.actor.id !== null) holds<Same<typeof auth.actor, Party>>()
    void [actorId, auth.unnarrowed]
  }
  // @ts-expect-error nothing in a context can be changed
  auth.scopes.push('admin')
  // @ts-expect-error nothing in a context can be changed
  auth.rule = 'mine'

  const context = api.contextOf(request)
  holds<Same<typeof context, AuthContext | null>>()
  // @ts-expect-error an anonymous call has no context
  context.subject

  const delegated = api.delegatedContextOf(request)
  holds<Same<typeof delegated, DelegatedContext>>()
  holds<Same<typeof delegated.actor, Party | UnknownParty>>()
  void delegated.actor.profiles
})
