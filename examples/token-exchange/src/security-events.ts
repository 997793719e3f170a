import { createPrivateKey, type JsonWebKey, randomUUID, sign } from 'node:crypto'
import type { Fetch } from './https-fetch.js'

/** Where an API takes security events, and how: what a stream's configuration says (SSF 1.0 8.1.1). */
export interface EventStream {
  readonly endpoint: string
  /** The API's name as a receiver (`aud`). */
  readonly audience: string
  /** The value of the `Authorization` field that was agreed upon. */
  readonly authorization: string
}

/** Tells APIs what has happened to their tokens. */
export interface Transmitter {
  /**
   * A session was ended, and everything that came of it (CAEP 1.0 3.1).
   * Resolves when every API has taken that.
   * @throws where one has not. A transmitter in earnest keeps the event, and comes again
   */
  sessionRevoked(sessionId: string): Promise<void>
}

/** What a transmitter is made of. */
export interface TransmitterOptions {
  readonly issuer: string
  /** The key of the issuer's tokens: APIs find it where they find that one. */
  readonly signingKey: JsonWebKey & { readonly kid: string }
  readonly streams: readonly EventStream[]
  readonly fetch: Fetch
}

const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'

/** Makes security event tokens (RFC 8417), and pushes them (RFC 8935). */
export function createTransmitter({ issuer, signingKey, streams, fetch }: TransmitterOptions): Transmitter {
  const key = createPrivateKey({ key: signingKey, format: 'jwk' })
  const header = partOf({ typ: 'secevent+jwt', alg: 'ES256', kid: signingKey.kid })

  function signed(claims: object): string {
    const text = `${header}.${partOf(claims)}`
    return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
  }

  async function push({ endpoint, authorization }: EventStream, body: string): Promise<void> {
    const headers = { 'content-type': 'application/secevent+jwt', accept: 'application/json', authorization }
    const { status } = await fetch(endpoint, { method: 'POST', headers, body })
    if (status !== 202) throw new Error(`${endpoint} has not taken a security event: ${status}`)
  }

  return {
    async sessionRevoked(sessionId) {
      const now = Math.floor(Date.now() / 1000)
      const happening = {
        iss: issuer,
        iat: now,
        txn: randomUUID(),
        sub_id: { format: 'opaque', id: sessionId },
        events: { [SESSION_REVOKED]: { event_timestamp: now, initiating_entity: 'user' } },
      }
      await Promise.all(streams.map((stream) => push(stream, signed({ ...happening, jti: randomUUID(), aud: stream.audience }))))
    },
  }
}

function partOf(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
