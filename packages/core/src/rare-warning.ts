/** At most one warning in this time, in milliseconds. */
const INTERVAL_MILLISECONDS = 60_000

/**
 * Warns whoever reads the warnings of the process, at most once a minute: what happens with every request must not fill a log.
 * @param now milliseconds since the epoch; a clock that was set back holds no warning up
 */
export function createRareWarning(code: string, now: () => number): (text: string) => void {
  let warnedAt = Number.NEGATIVE_INFINITY
  return (text) => {
    const time = now()
    if (time >= warnedAt && time - warnedAt < INTERVAL_MILLISECONDS) return
    warnedAt = time
    process.emitWarning(`behalf: ${text}`, { code })
  }
}
