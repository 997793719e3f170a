import type { IncomingMessage } from 'node:http'
import type { AuthContext } from '@behalf/core'
import type { ExpressResourceServer } from '@behalf/express'

// #region upgrade
/** Middleware never sees a WebSocket upgrade. `verify` proves the token; no rule and no record comes with it. */
export async function callerOf(api: ExpressResourceServer, request: IncomingMessage): Promise<AuthContext> {
  const token = request.headers.authorization?.replace(/^Bearer +/i, '') ?? ''
  const context = await api.verify(token) // throws AuthError
  if (context.kind !== 'direct') throw new Error('delegated calls are not open here')
  return context
}
// #endregion upgrade
