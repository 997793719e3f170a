import { codeOf } from '../error-code.js'
import { createRareWarning } from '../rare-warning.js'

/** Warns that the memory of used proofs does not answer, by the code of its error alone; callers are answered with 503 meanwhile. */
export function createReplayWarning(now: () => number): (error: unknown) => void {
  const warn = createRareWarning('BEHALF_REPLAY_UNAVAILABLE', now)
  return (error) => {
    const code = codeOf(error)
    warn(`the memory of used proofs does not answer${code === null ? '' : ` (${code})`}`)
  }
}
