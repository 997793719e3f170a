import { vi } from 'vitest'

/** Timers that stand still until a test moves them. Files and sockets go on as ever. */
export function holdTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] })
}

/** Lets whatever is under way with the system come to its end, as far as it depends on no timer. */
export async function settled(done: () => boolean): Promise<void> {
  for (let turns = 0; !done(); turns++) {
    if (turns > 200_000) throw new Error('it did not settle')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Moves the timers on in steps, with time for the system after each. */
export async function pass(milliseconds: number, stepMilliseconds = 10, each: () => void = () => {}): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += stepMilliseconds) {
    vi.advanceTimersByTime(stepMilliseconds)
    each()
    await filesQuiet()
  }
}

/** Waits until the system has nothing to do with files any more: two turns in a row without a request. */
export async function filesQuiet(): Promise<void> {
  for (let quiet = 0; quiet < 2; quiet++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq'))) quiet = -1
  }
}

/** How a promise stands. */
export interface Watched {
  state: 'pending' | 'accepted' | 'refused'
  /** Code of the error with which it was refused. */
  code: string | null
}

/** Calls, and watches what comes of it: a return, a promise, or an error. */
export function watch(call: () => void | Promise<void>): Watched {
  const watched: Watched = { state: 'pending', code: null }
  const refused = (error: unknown) => {
    watched.state = 'refused'
    watched.code = (error as { code?: string }).code ?? null
  }
  try {
    Promise.resolve(call()).then(() => {
      watched.state = 'accepted'
    }, refused)
  } catch (error) {
    refused(error)
  }
  return watched
}
