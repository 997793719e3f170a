import { codeOf } from '../error-code.js'

/** At most one warning in this time, in milliseconds. */
const WARNING_INTERVAL_MILLISECONDS = 60_000

/** Warns that the memory of used proofs does not answer, by the code of its error alone; callers are answered with 503 meanwhile. */
export function createReplayWarning(now: () => number): (error: unknown) => void {
  let warnedAt = Number.NEGATIVE_INFINITY
  return (error) => {
    const since = now() - warnedAt
    if (since >= 0 && since < WARNING_INTERVAL_MILLISECONDS) return
    warnedAt = now()
    const code = codeOf(error)
    process.emitWarning(`behalf: the memory of used proofs does not answer${code === null ? '' : ` (${code})`}`, {
      code: 'BEHALF_REPLAY_UNAVAILABLE',
    })
  }
}
