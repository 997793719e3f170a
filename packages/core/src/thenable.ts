/** Whether a value is a promise of any realm or library. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  return value !== null && typeof (value as { then?: unknown } | undefined)?.then === 'function'
}

/**
 * Whether a function that had to answer at once answered with a promise. Its rejection, which nobody waits for, would end the
 * process: it is taken care of.
 */
export function isBelated(answer: unknown): boolean {
  if (!isThenable(answer)) return false
  Promise.resolve(answer).catch(() => {})
  return true
}
