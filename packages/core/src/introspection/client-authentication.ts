import {
  constants,
  createPrivateKey,
  type JsonWebKey,
  type KeyObject,
  randomUUID,
  type SignKeyObjectInput,
  sign,
  verify,
} from 'node:crypto'
import { privateJwkAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import { importJwk, keyFits } from '../keys/verification-key.js'
import { ALGORITHMS, type Algorithm } from '../token/algorithms.js'
import type { JsonObject } from '../token/json.js'

/** What a question carries to show who asks. */
interface Credentials {
  /** The `Authorization` field; `null`: none. */
  readonly authorization: string | null
  /** Parameters of the form. */
  readonly form: Readonly<Record<string, string>>
}

/** Makes the credentials of one question. Secrets stand in closures alone, where nothing that prints objects sees them. */
export type ClientAuthentication = (nowMilliseconds: number) => Promise<Credentials>

/** `client_secret_basic`: both are form-encoded before they are joined (RFC 6749 2.3.1), so that a colon in an id is none. */
export function secretInHeader(clientId: string, secret: string): ClientAuthentication {
  const text = `${formEncoded(clientId)}:${formEncoded(secret)}`
  const authorization = `Basic ${Buffer.from(text).toString('base64')}`
  return async () => ({ authorization, form: {} })
}

/** `client_secret_post` (RFC 6749 2.3.1). */
export function secretInForm(clientId: string, secret: string): ClientAuthentication {
  return async () => ({ authorization: null, form: { client_id: clientId, client_secret: secret } })
}

function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice('='.length)
}

/** An assertion is on its way for no longer than this. */
const ASSERTION_SECONDS = 60
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** `private_key_jwt` (RFC 7523 2.2, 3): an assertion for one question, with an id that is used once. */
export function privateKeyJwt(options: {
  readonly clientId: string
  readonly audience: string
  readonly algorithm: Algorithm
  readonly jwk: unknown
  readonly where: string
}): ClientAuthentication {
  const { clientId, audience, algorithm, jwk, where } = options
  const { key, kid } = signingKeyAt(jwk, where, algorithm)
  const header = encoded({ alg: algorithm, ...(kid !== null && { kid }) })
  return async (nowMilliseconds) => {
    const iat = Math.floor(nowMilliseconds / 1000)
    const claims = { iss: clientId, sub: clientId, aud: audience, jti: randomUUID(), iat, exp: iat + ASSERTION_SECONDS }
    const input = `${header}.${encoded(claims)}`
    const signature = await signed(input, algorithm, key)
    return {
      authorization: null,
      form: {
        client_id: clientId, // RFC 7521 4.2 leaves it free; PingAM asks for it
        client_assertion_type: ASSERTION_TYPE,
        client_assertion: `${input}.${signature.toString('base64url')}`,
      },
    }
  }
}

function encoded(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** On the thread pool: a signature by RSA takes a millisecond. */
function signed(input: string, algorithm: Algorithm, key: KeyObject): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const { hash, how } = signingBy(algorithm, key)
    sign(hash, Buffer.from(input), how, (error, signature) => (error === null ? resolve(signature) : reject(error)))
  })
}

function signingBy(algorithm: Algorithm, key: KeyObject): { readonly hash: string | null; readonly how: SignKeyObjectInput } {
  const details = ALGORITHMS.get(algorithm)
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  return { hash: details?.hash ?? null, how: { key, dsaEncoding: 'ieee-p1363', ...(details?.pss === true && pss) } }
}

/** Members of a private key (RFC 7518 6.2.2, 6.3.2). */
const PRIVATE_MEMBERS: ReadonlySet<string> = new Set(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth'])

/** @throws {ConfigError} that says what is wrong with the key, and nothing of the key */
function signingKeyAt(
  value: unknown,
  where: string,
  algorithm: Algorithm,
): { readonly key: KeyObject; readonly kid: string | null } {
  const jwk = privateJwkAt(value, where)
  if (typeof jwk['d'] !== 'string') throw new ConfigError(`${where} must be a private key as a JWK`)
  const { key_ops: keyOps, ...rest } = jwk
  if (keyOps !== undefined && !(Array.isArray(keyOps) && keyOps.includes('sign'))) {
    throw new ConfigError(`${where} may not sign ("key_ops")`)
  }
  const publicPart = Object.fromEntries(Object.entries(rest).filter(([name]) => !PRIVATE_MEMBERS.has(name)))
  const imported = importJwk(publicPart, Number.POSITIVE_INFINITY) // our own key: its id may be as long as it likes
  if (typeof imported === 'string') throw new ConfigError(`${where} ${imported}`)
  if (!keyFits(imported, algorithm)) throw new ConfigError(`${where} does not fit the algorithm ${algorithm}`)
  try {
    const key = createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' })
    const probe = Buffer.from('behalf')
    const { hash, how } = signingBy(algorithm, key)
    const signature = sign(hash, probe, how)
    if (verify(hash, probe, { ...how, key: imported.keyObject }, signature)) return { key, kid: imported.kid }
  } catch {} // OpenSSL's error could quote what it was given
  throw new ConfigError(`${where} has a private part that does not belong to its public part: give the key as it was made`)
}
