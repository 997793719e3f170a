import type { AuthContext } from '../delegation/context.js'
import type { RequestView } from '../request-view.js'
import { type Eventual, inTime } from '../thenable.js'

/** A question to the application about one call. Only `true` is a yes. */
export type Hook<C extends AuthContext> = (context: C, request: RequestView) => boolean | Promise<boolean>

/** What came of a question: `unavailable` where the application threw, rejected or took too long. */
export type HookAnswer = 'yes' | 'no' | 'unavailable'

/** Asks the application, within a time. Whatever comes after that time is ignored. */
export function askHook<C extends AuthContext>(
  hook: Hook<C>,
  context: C,
  request: RequestView,
  milliseconds: number,
): Eventual<HookAnswer> {
  return askInTime(hook, context, request, milliseconds, 'unavailable', toAnswer)
}

function toAnswer(value: unknown): HookAnswer {
  return value === true ? 'yes' : 'no'
}

/**
 * Asks the application, within a time, and reads what it answers: at once where it does.
 * @param unavailable what comes of it where the application, or reading its answer, throws, rejects or takes too long
 */
export function askInTime<C extends AuthContext, R>(
  ask: (context: C, request: RequestView) => unknown,
  context: C,
  request: RequestView,
  milliseconds: number,
  unavailable: R,
  read: (answer: unknown) => R,
): Eventual<R> {
  try {
    const answer = ask(context, request)
    if (isThere(answer)) return read(answer)
    const answered = Promise.resolve(answer)
      .then(read)
      .catch(() => unavailable)
    return inTime<R>(answered, milliseconds, () => unavailable)
  } catch {
    return unavailable
  }
}

/** Whether an answer is there: a boolean, or an object that says `allow` itself. Anything else can be a promise, of whatever library. */
function isThere(answer: unknown): boolean {
  return typeof answer === 'boolean' || (typeof answer === 'object' && answer !== null && Object.hasOwn(answer, 'allow'))
}
