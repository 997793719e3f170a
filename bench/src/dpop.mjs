// Sender constraint: what it costs that each request proves who sends it (RFC 9449).
import { measureHttp } from './dpop-http.mjs'
import { measureMicro } from './dpop-micro.mjs'
import { startIssuer } from './tokens.mjs'

export async function runDpop({ quick }) {
  const issuer = await startIssuer()
  try {
    return { micro: await measureMicro({ issuer, quick }), http: await measureHttp({ issuer, quick }) }
  } finally {
    await issuer.close()
  }
}
