import { createHash, randomUUID } from 'node:crypto'
import type { Algorithm, JsonObject, JsonValue } from '@behalf/core'
import { createSigningKey, type SigningKey, signCompact } from './keys.js'

/** Options of {@link createDpopClient}. */
export interface DpopClientOptions {
  /** The algorithm of its key. Default `ES256`. */
  readonly algorithm?: Algorithm
  /** The clock of its proofs, in milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number
}

/** What a proof is made for, and what makes it differ from a good one. */
export interface ProofOverrides {
  /** The token that goes with the proof; without it the proof has no `ath`. */
  readonly token?: string
  /** The nonce that the server has given. */
  readonly nonce?: string
  /** Claims to change or add; `undefined` takes one away. */
  readonly claims?: Readonly<Record<string, JsonValue | undefined>>
  /** Header members to change or add; `undefined` takes one away. */
  readonly header?: Readonly<Record<string, JsonValue | undefined>>
  /** The payload as text, instead of claims. */
  readonly payload?: string
  /** Signs in place of the client's own key, which the header still shows. */
  readonly key?: SigningKey
}

/** A client that holds a key, and proves it with each request (RFC 9449). */
export interface DpopClient {
  /** The key. */
  readonly key: SigningKey
  /** Its public part, as proofs show it. */
  readonly jwk: JsonObject
  /** Its thumbprint (RFC 7638): what `cnf.jkt` of a token says that is bound to it. */
  readonly jkt: string
  /** A proof for a request (RFC 9449 4.2): for the `DPoP` field. */
  proof(method: string, url: string, overrides?: ProofOverrides): string
  /** Both header fields of a request with a token (RFC 9449 7.1). */
  headers(method: string, url: string, token: string, overrides?: ProofOverrides): { authorization: string; dpop: string }
}

/** Members of a thumbprint, in their order (RFC 7638 3.2, RFC 8037 2). */
const THUMBPRINT_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
}

/** Makes a client with a key of its own. Nothing is validated: broken proofs are this package's trade. */
export function createDpopClient(options: DpopClientOptions = {}): DpopClient {
  const { algorithm = 'ES256', now = Date.now } = options
  const key = createSigningKey(algorithm)
  const { kid: _kid, alg: _alg, use: _use, ...jwk } = key.jwk

  function proof(method: string, url: string, overrides: ProofOverrides = {}): string {
    const { token, nonce, claims, header, payload, key: signer = key } = overrides
    const own = {
      jti: randomUUID(),
      htm: method,
      htu: url.split(/[?#]/, 1)[0],
      iat: Math.floor(now() / 1000),
      ...(token !== undefined && { ath: sha256(token) }),
      ...(nonce !== undefined && { nonce }),
    }
    return signCompact(
      { typ: 'dpop+jwt', alg: algorithm, jwk, ...header },
      payload ?? JSON.stringify({ ...own, ...claims }),
      signer,
    )
  }

  return {
    key,
    jwk,
    jkt: jktOf(jwk),
    proof,
    headers: (method, url, token, overrides) => ({
      authorization: `DPoP ${token}`,
      dpop: proof(method, url, { token, ...overrides }),
    }),
  }
}

function jktOf(jwk: JsonObject): string {
  const members = THUMBPRINT_MEMBERS[String(jwk['kty'])] ?? []
  return sha256(JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]]))))
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
