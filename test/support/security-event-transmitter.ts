/** A transmitter of security events (RFC 8417, SSF 1.0), as its signatures show it. */
import type { JsonObject, JsonValue, JwkSet } from '@behalf/core'
import { createSigningKey, type SigningKey, signCompact } from '@behalf/testing'

type Overrides = Readonly<Record<string, JsonValue | undefined>>

/** What makes a SET differ from a good one; `undefined` takes a member away. */
export interface SetDraft {
  readonly header?: Overrides
  readonly claims?: Overrides
  /** The payload as text, in place of claims. */
  readonly payload?: string
  /** Somebody else's key. */
  readonly key?: SigningKey
}

export interface TestTransmitter {
  readonly issuer: string
  readonly audience: string
  readonly key: SigningKey
  readonly jwks: JwkSet
  /** A SET with these events. */
  set(events: JsonValue, draft?: SetDraft): string
  /** `session-revoked` for a subject. */
  sessionRevoked(subject: JsonValue | undefined, payload?: JsonObject, draft?: SetDraft): string
  /** `credential-change` for a subject; the credential was revoked, unless the payload says otherwise. */
  credentialChange(subject: JsonValue | undefined, payload?: Overrides, draft?: SetDraft): string
}

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
export const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/'
export const SESSION_REVOKED: string = `${CAEP}session-revoked`
export const CREDENTIAL_CHANGE: string = `${CAEP}credential-change`

export const SET_CONTENT_TYPE = 'application/secevent+jwt'

/** @param seconds the clock of its SETs, in seconds since the epoch */
export function createTransmitter(issuer: string, audience: string, seconds: () => number): TestTransmitter {
  const key = createSigningKey('EdDSA', { kid: 'transmitter-1' })
  const set = (events: JsonValue, draft: SetDraft = {}): string => {
    const signer = draft.key ?? key
    const header = { alg: signer.algorithm, kid: signer.kid, typ: 'secevent+jwt', ...draft.header }
    const claims = { iss: issuer, aud: audience, iat: seconds(), jti: 'set-1', txn: 'txn-1', events, ...draft.claims }
    return signCompact(JSON.parse(JSON.stringify(header)) as JsonObject, draft.payload ?? JSON.stringify(claims), signer)
  }
  const about = (subject: JsonValue | undefined, { claims, ...draft }: SetDraft): SetDraft => ({
    ...draft,
    claims: { sub_id: subject, ...claims },
  })
  return {
    issuer,
    audience,
    key,
    jwks: { keys: [key.jwk] },
    set,
    sessionRevoked: (subject, payload = {}, draft = {}) => set({ [SESSION_REVOKED]: payload }, about(subject, draft)),
    credentialChange(subject, payload = {}, draft = {}) {
      const event = { credential_type: 'password', change_type: 'revoke', ...payload }
      return set({ [CREDENTIAL_CHANGE]: JSON.parse(JSON.stringify(event)) as JsonObject }, about(subject, draft))
    },
  }
}

export const opaque = (id: JsonValue): JsonObject => ({ format: 'opaque', id })
export const issSub = (iss: JsonValue, sub: JsonValue): JsonObject => ({ format: 'iss_sub', iss, sub })
export const jwtId = (iss: JsonValue, jti: JsonValue): JsonObject => ({ format: 'jwt_id', iss, jti })
export const aliases = (...identifiers: JsonValue[]): JsonObject => ({ format: 'aliases', identifiers })
export const complex = (members: JsonObject): JsonObject => ({ format: 'complex', ...members })
