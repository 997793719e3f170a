/**
 * Types `req.auth` for every Express handler of the program: `import '@behalf/express/request'`. Opt-in, so that another
 * library that types `req.auth` can stand in the same program. On an anonymous request reading it throws.
 */
import type { AuthContext } from '@behalf/core'

declare global {
  namespace Express {
    interface Request {
      /** The context of the call. On an anonymous request, reading it throws: ask `contextOf(request)` there. */
      auth: AuthContext
    }
  }
}
