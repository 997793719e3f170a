import { type RefusalCode, type Scheme, statusOf } from './challenge.js'
import { AuthError, type RefusalDetails } from './errors.js'
import type { Settings } from './options.js'

/** Makes the refusals of one server, with what its options let them tell. */
export interface Refusals {
  /** A refusal that is made here; one that is our own trouble says when to come again. */
  errorOf(code: RefusalCode, details?: RefusalDetails): AuthError
  /** An error with all that this server's challenges tell. What is no refusal stays what it is. */
  told(scheme: Scheme, error: Error): Error
}

export function createRefusals({ limits, offer, dpop, now }: Settings): Refusals {
  return {
    errorOf(code, details = {}) {
      return new AuthError(code, { ...details, ...(statusOf(code) === 503 && { retryAfterSeconds: limits.retryAfterSeconds }) })
    },

    told(scheme, error) {
      if (offer === null || !(error instanceof AuthError)) return error
      const nonce = error.code === 'proof_nonce_required' ? (dpop?.nonces?.current(now() / 1000) ?? null) : null
      return error.toldBy(offer, scheme, nonce)
    },
  }
}
