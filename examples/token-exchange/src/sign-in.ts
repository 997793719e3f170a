import { timingSafeEqual } from 'node:crypto'
import { text } from 'node:stream/consumers'
import type { Grant, KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { People } from './people.js'

const PATH = '/sign-in/'

/** Where people are sent who have to sign in. */
export function signInUrl(_ctx: KoaContextWithOIDC, { uid }: { readonly uid: string }): string {
  return PATH + uid
}

/** The page on which people sign in: one form, which a script can send as well. */
export function offerSignIn(provider: Provider, people: People): void {
  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith(PATH)) return next()
    await provider.interactionDetails(ctx.req, ctx.res) // throws for whoever was not sent here
    const entered = new URLSearchParams(ctx.method === 'POST' ? await text(ctx.req) : '')
    const person = Object.values(people).find(({ id }) => id === entered.get('name'))
    if (person === undefined || !isSame(person.password, entered.get('password') ?? '')) {
      ctx.status = ctx.method === 'POST' ? 401 : 200
      ctx.type = 'html'
      ctx.body = PAGE
      return
    }
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, { login: { accountId: person.id } }))
  })
}

/** The help desk is the house's own, so nobody is asked whether it may: it gets what it asks for. */
export async function grantEverything(ctx: KoaContextWithOIDC): Promise<Grant> {
  const { provider, client, session, resourceServers = {}, requestParamScopes } = ctx.oidc
  const grant = new provider.Grant({ clientId: client?.clientId, accountId: session?.accountId })
  for (const [name, resource] of Object.entries(resourceServers)) {
    const known = [...requestParamScopes].filter((scope) => resource.scopes.has(scope))
    grant.addResourceScope(name, known.join(' '))
  }
  await grant.save()
  return grant
}

const PAGE = `<!doctype html>
<title>Sign in</title>
<form method="post">
  <label>Name <input name="name" autocomplete="username"></label>
  <label>Password <input name="password" type="password" autocomplete="current-password"></label>
  <button>Sign in</button>
</form>
`

function isSame(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)]
  return left.length === right.length && timingSafeEqual(left, right)
}
