import { hash } from 'node:crypto'
import type { RefusalCode } from '../challenge.js'
import { EXPOSE, exposing } from '../exposed-headers.js'
import type { Limits } from '../limits.js'
import type { RequestView, ResponseView } from '../request-view.js'
import { andThen, attempt, type Eventual, inTime } from '../thenable.js'
import type { DpopNonces } from './dpop-nonce.js'
import { type DpopProof, DpopProofReader } from './dpop-proof.js'
import { checkProof } from './proof-checks.js'
import type { PublicOrigins } from './public-origins.js'
import type { ProofUse, ReplayMemory } from './replay-memory.js'
import { createReplayWarning } from './replay-warning.js'
import { hasDotSegments, normalizeTargetUri } from './target-uri.js'

/** What proofs of possession are judged by. */
export interface DpopSettings {
  readonly origins: PublicOrigins
  readonly algorithms: ReadonlySet<string>
  readonly replay: ReplayMemory
  /** `null`: none are given out. */
  readonly nonces: DpopNonces | null
  readonly toleranceSeconds: number
  readonly limits: Limits
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Judges the proof that a request shows with its token (RFC 9449 7.1): why it is refused, or `null`. */
export type DpopJudge = (shown: ShownToken) => Eventual<RefusalCode | null>

/** A token that is bound to a client's key, as a request shows it. */
interface ShownToken {
  readonly request: RequestView
  readonly response: ResponseView
  readonly token: string
  /** RFC 9449 6.1: the thumbprint of that key. */
  readonly jkt: string
  /** Whether the token's own signature has been proved for this request. */
  readonly anew: boolean
}

/** What a memory's silence is called in a warning. */
const LATE = Object.assign(new Error('the memory of used proofs did not answer in time'), { code: 'replay_timeout' })

export function createDpopJudge(settings: DpopSettings): DpopJudge {
  const { origins, replay, nonces, toleranceSeconds, limits, now } = settings
  const reader = new DpopProofReader(settings.algorithms, limits)
  const warn = createReplayWarning(now)

  /** The last step of all (RFC 9449 11.1): what is refused for another reason uses nothing up. */
  function useOnce(proof: DpopProof, targetUri: string): Eventual<RefusalCode | null> {
    const use: ProofUse = {
      // By the URI that the proof names, in its normal form: a proof has one of them, however requests write theirs.
      id: hash('sha256', JSON.stringify([proof.thumbprint, normalFormOf(targetUri), proof.jti]), 'base64url'),
      // Twice the tolerance: once for this server's judgement, and once for replicas whose clocks differ by it.
      acceptableFrom: (proof.iat - 2 * toleranceSeconds) * 1000,
      acceptableUntil: (proof.iat + limits.proofSeconds + 2 * toleranceSeconds) * 1000,
      now: now(),
    }
    return attempt(
      () => {
        const first = replay.use(use)
        return typeof first === 'boolean'
          ? first
          : inTime(Promise.resolve(first), limits.replayMilliseconds, () => {
              throw LATE
            })
      },
      (first) => (first === true ? null : first === false ? 'proof_replayed' : 'replay_unavailable'),
      (error) => {
        warn(error)
        return 'replay_unavailable'
      },
    )
  }

  return ({ request, response, token, jkt, anew }) =>
    andThen(reader.read(request.header('dpop'), jkt, anew), (proof) => {
      if (typeof proof === 'string') return proof
      const targetUri = origins.targetOf(request)
      const nowSeconds = now() / 1000
      const { proofSeconds: lifeSeconds } = limits
      const demand = { token, method: request.wireMethod, targetUri, nonces, nowSeconds, toleranceSeconds, lifeSeconds }
      const refusal = checkProof(proof, demand)
      if (refusal !== null || targetUri === null) return refusal ?? 'proof_target_mismatch'
      // RFC 9449 8.2: a client whose nonce will soon be too old is given the next one with the answer.
      const nonce = nonces?.current(nowSeconds)
      if (nonce !== undefined && nonce !== proof.nonce) giveNonce(response, nonce)
      return useOnce(proof, targetUri)
    })
}

/** A target is in its normal form already, except with dot segments. */
function normalFormOf(targetUri: string): string | null {
  return hasDotSegments(targetUri) ? normalizeTargetUri(targetUri) : targetUri
}

function giveNonce(response: ResponseView, nonce: string): void {
  response.setHeader('dpop-nonce', nonce)
  response.setHeader('cache-control', 'no-store') // RFC 9449 8.2, whatever stands there for all answers
  response.setHeader(EXPOSE, exposing(response.header(EXPOSE), ['DPoP-Nonce']))
}

/** For how long a use can have to be remembered, in milliseconds: see {@link ProofUse}, and a client's clock that is ahead. */
export function longestUseMilliseconds(limits: Limits, toleranceSeconds: number): number {
  return (limits.proofSeconds + 3 * toleranceSeconds) * 1000
}
