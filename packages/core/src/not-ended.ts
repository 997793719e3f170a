import { AuthError } from './errors.js'
import type { Limits } from './limits.js'
import type { ProvenToken } from './proven-token.js'
import type { Revocations } from './revocation/revocations.js'
import { andThen, attempt, type Eventual } from './thenable.js'

/** What a token is asked about after its proof, on every request; `null` and `false`: nobody is asked, and there is no such step. */
export interface EndingMeans {
  readonly revocations: Revocations | null
  /** An issuer's tokens are looked up in status lists. */
  readonly statusLists: boolean
  readonly limits: Pick<Limits, 'retryAfterSeconds'>
}

/** Whether a proven token was ended before its time: why it is refused, or `null`. */
type Judge = (token: ProvenToken) => Eventual<AuthError | null>

/** The steps that are configured, put together. */
export interface NotEnded {
  /** In the order in which they are asked. */
  readonly steps: readonly ('revocation' | 'status')[]
  /** `null`: there is no step. */
  readonly judge: Judge | null
}

/** Puts together what is configured: what this API knows itself first, then what its issuers publish. */
export function compileNotEnded({ revocations, statusLists, limits }: EndingMeans): NotEnded {
  const named = [
    ['revocation', revocations && revocationStep(revocations, limits)],
    ['status', statusLists ? statusStep : null],
  ] as const
  const steps = named.flatMap(([name, step]) => (step === null ? [] : [{ name, step }]))
  const [first, ...others] = steps.map(({ step }) => step)
  return Object.freeze({
    steps: Object.freeze(steps.map(({ name }) => name)),
    judge: first === undefined ? null : others.reduce(inOrder, first),
  })
}

function inOrder(first: Judge, second: Judge): Judge {
  return (token) => andThen(first(token), (refusal) => refusal ?? second(token))
}

function revocationStep(revocations: Revocations, { retryAfterSeconds }: EndingMeans['limits']): Judge {
  return (token) =>
    andThen(revocations.judge(token, token.memo), (refusal) => {
      if (refusal === null) return null
      return new AuthError(refusal, refusal === 'revocation_unavailable' ? { retryAfterSeconds } : {})
    })
}

/** What the issuer's own list says of the token (draft-ietf-oauth-status-list 8.3). */
const statusStep: Judge = ({ issuer, status }) => {
  if (status === null || issuer.statusLists === null) return null
  const lists = issuer.statusLists
  return attempt<void, AuthError | null>(
    () => lists.check(status),
    () => null,
    (error) => {
      if (error instanceof AuthError) return error
      throw error
    },
  )
}
