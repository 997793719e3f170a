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
  try {
    const answer = hook(context, request)
    return typeof answer === 'boolean' ? toAnswer(answer) : answerInTime(answer, milliseconds)
  } catch {
    return 'unavailable'
  }
}

function answerInTime(answer: Promise<boolean>, milliseconds: number): Promise<HookAnswer> {
  const answered = Promise.resolve(answer).then(toAnswer, () => 'unavailable' as const)
  return inTime<HookAnswer>(answered, milliseconds, () => 'unavailable')
}

function toAnswer(value: unknown): HookAnswer {
  return value === true ? 'yes' : 'no'
}
