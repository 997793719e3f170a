import { listAt, membersOf, optional, privateJwkAt, quoted } from '../config-shape.js'
import { AuthError, ConfigError } from '../errors.js'
import type { Limits } from '../limits.js'
import {
  CONTENT_ENCRYPTIONS,
  type ContentEncryption,
  contentEncryptionAt,
  hasLengths,
  KEY_MANAGEMENT,
  type KeyManagementAlgorithm,
  keyManagementAt,
  sendsNoKey,
} from './algorithms.js'
import { type DecryptionKey, importPrivateJwk, keyFits, pointFits } from './decryption-key.js'
import { parseJwe, type UnverifiedJwe } from './jwe.js'

/** How an issuer encrypts its access tokens for this API: as a JWE that holds the signed JWT (RFC 7519 11.2). */
export interface DecryptionOptions {
  /** Private JWKs: RSA of 2048 bits or more, EC on P-256, P-384 or P-521, or X25519. Several need a `kid` each. */
  readonly keys: readonly object[]
  /** Accepted `alg`. There is no default. `RSA-OAEP`, whose digest is SHA-1, is for issuers that cannot do better. */
  readonly algorithms: readonly KeyManagementAlgorithm[]
  /** Accepted `enc`. Default: AES-GCM and AES-CBC with HMAC, in every length. */
  readonly encryption?: readonly ContentEncryption[]
}

/** Opens the tokens that an issuer encrypts for this API. */
export interface Decrypter {
  /** Ids of the keys, `null` for a key without one: they find the issuer of an encrypted token. */
  readonly keyIds: ReadonlySet<string | null>
  /**
   * The signed JWT that an encrypted token holds, by its shape. Encryption is no proof of its origin, since everybody may have the
   * public key (RFC 8725 3.3): the signature has still to be proved.
   * @throws {AuthError} `token_malformed` (the JWE, or what it holds), `algorithm_refused`, `key_unknown`, `decryption_failed`
   */
  decrypt(token: string): Promise<string>
}

type Library = typeof import('jose/jwe/compact/decrypt')

/** Header members that go with passwords only (RFC 7518 4.8.1). */
const OF_PASSWORDS = ['p2c', 'p2s'] as const

/**
 * What says that a signed JWT is inside: `JWT` (RFC 7519 5.2), or the media type of an access token, which issuers write who go by RFC
 * 7515 4.1.10 instead. Neither is proved by anything; the shape of what is inside is looked at as well.
 */
const SIGNED_CONTENT = /^(?:application\/)?(?:at\+)?jwt$/i

/** Three parts, none of them empty. A JWE has five, and claims that nobody signed have no parts at all. */
const SIGNED_JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/

/**
 * Validates the options and imports the keys.
 * @throws {ConfigError} naming the option and the mend
 */
export function resolveDecryption(value: unknown, where: string, limits: Limits): Decrypter {
  const members = membersOf(value, where, ['keys', 'algorithms', 'encryption'])
  const algorithms = listAt(members['algorithms'], `${where}.algorithms`, keyManagementAt, quoted(KEY_MANAGEMENT))
  const encryptionAt = (each: unknown, at: string) => listAt(each, at, contentEncryptionAt)
  const encryption = optional(members, 'encryption', where, encryptionAt, CONTENT_ENCRYPTIONS)
  const keyAt = (jwk: unknown, at: string) => {
    const key = importPrivateJwk(privateJwkAt(jwk, at), limits.kidCharacters)
    if (typeof key === 'string') throw new ConfigError(`${at} ${key}`)
    if (!algorithms.some((algorithm) => keyFits(key, algorithm))) {
      throw new ConfigError(`${at} fits none of ${where}.algorithms: leave it out, or name one that it fits`)
    }
    return key
  }
  const keys = listAt(members['keys'], `${where}.keys`, keyAt, 'private JWKs: of a JWK set, its keys')
  const idle = algorithms.find((algorithm) => !keys.some((key) => keyFits(key, algorithm)))
  if (idle !== undefined) throw new ConfigError(`${where}.algorithms names '${idle}', which none of the keys fits`)
  const byKid = new Map(keys.map((key) => [key.kid, key]))
  if (keys.length > 1 && (byKid.size < keys.length || byKid.has(null))) {
    throw new ConfigError(`${where}.keys are several: give each of them a "kid" of its own`)
  }
  return new KeyDecrypter(byKid, new Set(algorithms), new Set(encryption), where, limits)
}

class KeyDecrypter implements Decrypter {
  readonly keyIds: ReadonlySet<string | null>
  readonly #keys: ReadonlyMap<string | null, DecryptionKey>
  readonly #algorithms: ReadonlySet<string>
  readonly #encryption: ReadonlySet<string>
  readonly #limits: Limits
  /** Loaded only where tokens are encrypted, since it takes start-up time; and then at once, not with the first token. */
  readonly #library: Promise<Library>

  constructor(
    keys: ReadonlyMap<string | null, DecryptionKey>,
    algorithms: ReadonlySet<string>,
    encryption: ReadonlySet<string>,
    where: string,
    limits: Limits,
  ) {
    this.keyIds = new Set(keys.keys())
    this.#keys = keys
    this.#algorithms = algorithms
    this.#encryption = encryption
    this.#limits = limits
    this.#library = import('jose/jwe/compact/decrypt').catch(() => {
      throw new ConfigError(`${where} needs the package jose, which cannot be loaded: install the dependencies anew`)
    })
    this.#library.catch(() => {}) // asked again by `decrypt()`: without this, a failure here would end the process
  }

  async decrypt(token: string): Promise<string> {
    const jwe = parseJwe(token, this.#limits)
    if (jwe === null) throw new AuthError('token_malformed')
    const { alg, enc, zip, kid, cty } = jwe.unverifiedHeader
    // What is compressed and then encrypted tells its content by its length, and can be inflated without end (RFC 8725 3.6, 3.15).
    if (!this.#accepts(alg) || !this.#encrypts(enc) || zip !== undefined) throw new AuthError('algorithm_refused')
    if (OF_PASSWORDS.some((name) => jwe.unverifiedHeader[name] !== undefined)) throw new AuthError('token_malformed')
    if (typeof cty !== 'string' || !SIGNED_CONTENT.test(cty)) throw new AuthError('token_malformed')
    if (kid !== undefined && typeof kid !== 'string') throw new AuthError('token_malformed')
    if (sendsNoKey(alg) !== (jwe.encryptedKey.length === 0)) throw new AuthError('token_malformed')
    const key = this.#find(kid ?? null, alg)
    if (key === null) throw new AuthError('key_unknown')
    const { compactDecrypt } = await this.#library
    if (!isWhole(jwe, key, enc)) throw new AuthError('decryption_failed')
    let text: string
    try {
      // Named again for the library, which reads the header by itself: it must find what was found here.
      const { plaintext } = await compactDecrypt(token, key.keyObject, {
        keyManagementAlgorithms: [alg],
        contentEncryptionAlgorithms: [enc],
        maxDecompressedLength: 0,
      })
      text = Buffer.from(plaintext).toString('latin1')
    } catch {
      throw new AuthError('decryption_failed') // for whatever reason: RFC 7516 11.5
    }
    if (!SIGNED_JWT.test(text)) throw new AuthError('token_malformed')
    return text
  }

  #accepts(alg: unknown): alg is KeyManagementAlgorithm {
    return this.#algorithms.has(alg as string)
  }

  #encrypts(enc: unknown): enc is ContentEncryption {
    return this.#encryption.has(enc as string)
  }

  /** The one key that fits, or `null` where none or more than one does. */
  #find(kid: string | null, algorithm: KeyManagementAlgorithm): DecryptionKey | null {
    const candidates = kid === null ? [...this.#keys.values()] : [this.#keys.get(kid)].filter((key) => key !== undefined)
    const [key, ...others] = candidates.filter((each) => keyFits(each, algorithm))
    return key !== undefined && others.length === 0 ? key : null
  }
}

/** Whether all is there that decryption needs, in the right size: nothing is computed with a foreign curve, or compared with a cut tag. */
function isWhole({ unverifiedHeader, iv, tag }: UnverifiedJwe, key: DecryptionKey, encryption: ContentEncryption): boolean {
  return hasLengths(encryption, iv, tag) && (key.kty === 'RSA' || pointFits(key, unverifiedHeader))
}
