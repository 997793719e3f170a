import { createHmac, timingSafeEqual } from 'node:crypto'
import { listAt, membersOf } from '../config-shape.js'
import { ConfigError } from '../errors.js'

/** Nonces for proofs (RFC 9449 8 and 9). */
export interface DpopNonceOptions {
  /**
   * What nonces are made with: at least 32 random bytes, or a text of at least 43 characters that encodes them. The same for all
   * replicas. A list for the time of a change: the first one makes nonces, each of them is accepted.
   */
  readonly secret: string | Uint8Array | readonly (string | Uint8Array)[]
}

/** Least bytes of a secret: as many as the digest has (RFC 2104 3). */
const LEAST_SECRET_BYTES = 32
/** Least characters of a secret that is a text: 32 bytes in base64url. */
const LEAST_SECRET_CHARACTERS = 43
const TIME_BYTES = 6
/** RFC 2104 5: half of the digest, and not fewer than 10 bytes. */
const TAG_BYTES = 16
/** Domain separation: a tag of this secret that is made for something else is no nonce. */
const PURPOSE = 'behalf DPoP nonce 1:'

/**
 * Nonces that nobody has to remember: a time, and a tag over it. All replicas with one secret accept each other's. They change every
 * half of their life, so that one that is in use is replaced before it ends.
 */
export class DpopNonces {
  readonly #secrets: readonly Uint8Array[]
  readonly #lifeSeconds: number
  #latest: { readonly step: number; readonly nonce: string } = { step: Number.NaN, nonce: '' }

  /** @param lifeSeconds how long a nonce is accepted */
  constructor(secrets: readonly Uint8Array[], lifeSeconds: number) {
    this.#secrets = secrets
    this.#lifeSeconds = lifeSeconds
  }

  /** The nonce that clients are given at a time. */
  current(nowSeconds: number): string {
    const stepSeconds = Math.max(1, Math.floor(this.#lifeSeconds / 2))
    const step = Math.floor(nowSeconds / stepSeconds)
    if (this.#latest.step !== step) this.#latest = { step, nonce: this.#make(step * stepSeconds) }
    return this.#latest.nonce
  }

  /** Whether a nonce is one of ours, and of now. */
  accepts(nonce: unknown, nowSeconds: number, toleranceSeconds: number): boolean {
    if (typeof nonce !== 'string') return false
    if (nonce === this.#latest.nonce && this.current(nowSeconds) === nonce) return true
    const bytes = Buffer.from(nonce, 'base64url')
    if (bytes.length !== TIME_BYTES + TAG_BYTES || bytes.toString('base64url') !== nonce) return false
    const madeAt = bytes.readUIntBE(0, TIME_BYTES)
    if (nowSeconds < madeAt - toleranceSeconds || nowSeconds >= madeAt + this.#lifeSeconds) return false
    const tag = bytes.subarray(TIME_BYTES)
    return this.#secrets.some((secret) => timingSafeEqual(tagOf(secret, madeAt), tag))
  }

  #make(madeAt: number): string {
    const [secret] = this.#secrets
    if (secret === undefined) throw new ConfigError('there is no secret for nonces')
    const time = Buffer.alloc(TIME_BYTES)
    time.writeUIntBE(madeAt, 0, TIME_BYTES)
    return Buffer.concat([time, tagOf(secret, madeAt)]).toString('base64url')
  }
}

/** Reads `dpop.nonce`. */
export function nonceSecretsAt(value: unknown, where: string): readonly Uint8Array[] {
  const { secret } = membersOf(value, where, ['secret'])
  return Array.isArray(secret) ? listAt(secret, `${where}.secret`, secretAt) : [secretAt(secret, `${where}.secret`)]
}

function secretAt(value: unknown, where: string): Uint8Array {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  const least = typeof value === 'string' ? LEAST_SECRET_CHARACTERS : LEAST_SECRET_BYTES
  if (!(bytes instanceof Uint8Array) || bytes.length < least) {
    throw new ConfigError(
      `${where} must be ${LEAST_SECRET_BYTES} random bytes or more, or a text of ${LEAST_SECRET_CHARACTERS} characters or more that encodes them`,
    )
  }
  return Uint8Array.from(bytes)
}

function tagOf(secret: Uint8Array, madeAt: number): Buffer {
  return createHmac('sha256', secret).update(`${PURPOSE}${madeAt}`).digest().subarray(0, TAG_BYTES)
}
