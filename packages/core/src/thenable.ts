/** A value that is there, or that comes later. Only our own functions answer with one: what an application answers can be any thenable. */
export type Eventual<T> = T | Promise<T>

/** Goes on with a value at once where it is there: most requests wait for nothing, and should not wait for a promise either. */
export function andThen<T, U>(value: Eventual<T>, next: (value: T) => Eventual<U>): Eventual<U> {
  return value instanceof Promise ? value.then(next) : next(value)
}

/** Runs a step, and goes on with what it answers or with the error it ends with; at once where it does. */
export function attempt<T, U>(
  step: () => Eventual<T>,
  done: (value: T) => Eventual<U>,
  failed: (error: unknown) => Eventual<U>,
): Eventual<U> {
  let value: Eventual<T>
  try {
    value = step()
  } catch (error) {
    return failed(error)
  }
  return value instanceof Promise ? value.then(done, failed) : done(value)
}

/** Runs a step whose failure is a rejected promise, however it failed: nobody has to catch it in two ways. */
export function orRejected<T>(step: () => Eventual<T>): Eventual<T> {
  try {
    return step()
  } catch (error) {
    return Promise.reject(error)
  }
}

/** What a task comes to, or what `late` answers or throws where it takes longer. Whatever comes after that is ignored. */
export async function inTime<T>(task: Promise<T>, milliseconds: number, late: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeUp = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds)
  })
  try {
    return await Promise.race([task, timeUp.then(late)])
  } finally {
    clearTimeout(timer)
  }
}

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
