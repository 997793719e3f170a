// Calls of a function, timed: one after another, or many under way at once.
import { performance } from 'node:perf_hooks'

/** Calls between two looks at the clock, which itself costs some 50 ns. */
const BETWEEN_LOOKS = 16

/** Calls in a window at least: fewer would show a wake-up of the operating system rather than a verification. */
const LEAST_CALLS = 64

/**
 * @param {boolean} apart each call in a run of code of its own, as requests come: calls in one run are many at once to a guard that looks
 * @returns {Promise<number>} nanoseconds a call
 */
export async function oneByOne(call, inputs, { milliseconds }, apart) {
  const start = performance.now()
  let done = 0
  while (done < inputs.length) {
    const end = Math.min(done + BETWEEN_LOOKS, inputs.length)
    for (; done < end; done++) {
      const result = call(inputs[done])
      if (apart || typeof result?.then === 'function') await result
    }
    if (done >= LEAST_CALLS && performance.now() - start > milliseconds) break
  }
  return ((performance.now() - start) * 1e6) / done
}

/** So many calls under way at any time; one that answers at once goes on at once, as its caller would. */
export async function manyAtOnce(call, inputs, { milliseconds }, lanes) {
  const start = performance.now()
  let next = 0
  let over = false
  const lane = async () => {
    while (!over && next < inputs.length) {
      const result = call(inputs[next++])
      if (typeof result?.then === 'function') await result
      if (next >= LEAST_CALLS && next % BETWEEN_LOOKS === 0 && performance.now() - start > milliseconds) over = true
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return ((performance.now() - start) * 1e6) / next
}
