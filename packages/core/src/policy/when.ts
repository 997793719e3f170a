import type { Consent, DelegatedContext } from '../delegation/context.js'
import type { Limits } from '../limits.js'
import type { RequestView } from '../request-view.js'
import type { Eventual } from '../thenable.js'
import { isIdentifier } from '../token/identifier.js'
import { askInTime } from './hook.js'

/**
 * An answer of a rule's `when` that tells of a consent. It stands in the context and in every record of the call; of a no in the
 * record alone. Texts are one clean line: not empty, without control characters, at most `limits.identifierCharacters` long.
 */
export interface ConsentAnswer {
  /** Whether the call is admitted. */
  readonly allow: boolean
  /** Which consent. */
  readonly consentId?: string | null
  /** When it ends, in seconds since the epoch, as `exp` does. One that has passed refuses, whatever `allow` says. */
  readonly expiresAt?: number | null
  /** The ticket, case or order that the access is for. */
  readonly ticket?: string | null
  /** Why, in words for people. */
  readonly reason?: string | null
}

/** What a rule's `when` answers. Only `true`, or an object whose own `allow` is `true`, admits. */
export type WhenAnswer = boolean | ConsentAnswer

/** Asks the application about one delegated call, after all other limits of the rule. */
export type When = (context: DelegatedContext, request: RequestView) => WhenAnswer | Promise<WhenAnswer>

/** What came of asking. */
export interface Asked {
  /** `misshapen`: an object that says `allow`, and is no answer; `unavailable`: the application threw, rejected or took too long. */
  readonly answer: 'yes' | 'no' | 'misshapen' | 'unavailable'
  /** What it told of a consent, also with a no. */
  readonly consent: Consent | null
  /** Of a misshapen answer: what is wrong with it, in fixed words. */
  readonly fault: string | null
}

const YES: Asked = Object.freeze({ answer: 'yes', consent: null, fault: null })
const NO: Asked = Object.freeze({ answer: 'no', consent: null, fault: null })
const UNAVAILABLE: Asked = Object.freeze({ answer: 'unavailable', consent: null, fault: null })

/** What asking needs of the server. */
export interface WhenSettings {
  readonly limits: Pick<Limits, 'hookMilliseconds' | 'identifierCharacters'>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export function askWhen(when: When, context: DelegatedContext, request: RequestView, settings: WhenSettings): Eventual<Asked> {
  const { hookMilliseconds } = settings.limits
  return askInTime(when, context, request, hookMilliseconds, UNAVAILABLE, (answer) => readAnswer(answer, settings))
}

function readAnswer(answer: unknown, settings: WhenSettings): Asked {
  if (answer === true) return YES
  return typeof answer === 'object' && answer !== null && Object.hasOwn(answer, 'allow') ? readObject(answer, settings) : NO
}

const TEXTS: ReadonlySet<string> = new Set(['consentId', 'ticket', 'reason'])

/** A number above this is no number of seconds (it would be the year 5138) but one of milliseconds: such a consent would never end. */
const MOST_SECONDS = 100_000_000_000

/** Each member is read once: what a getter answers later is not looked at. */
function readObject(answer: object, { limits, now }: WhenSettings): Asked {
  let allow: unknown
  const said: { -readonly [K in keyof Consent]: Consent[K] } = { consentId: null, expiresAt: null, ticket: null, reason: null }
  if (Array.isArray(answer)) return misshapen('it is a list')
  for (const [name, value] of Object.entries(answer) as readonly (readonly [string, unknown])[]) {
    if (name === 'allow') allow = value
    else if (TEXTS.has(name)) {
      if (value !== null && !isIdentifier(value, limits.identifierCharacters)) {
        return misshapen(`${name} must be one clean line of at most ${limits.identifierCharacters} characters, or null`)
      }
      said[name as 'consentId' | 'ticket' | 'reason'] = value
    } else if (name === 'expiresAt') {
      if (value !== null && !isSeconds(value)) return misshapen('expiresAt must be seconds since the epoch, as exp is, or null')
      said.expiresAt = value
    } else return misshapen('it has a member that is none of allow, consentId, expiresAt, ticket and reason')
  }
  if (typeof allow !== 'boolean') return misshapen('allow must be true or false')
  const says = said.consentId !== null || said.expiresAt !== null || said.ticket !== null || said.reason !== null
  const consent: Consent | null = says ? Object.freeze(said) : null
  return { answer: allow && !hasEnded(consent, now) ? 'yes' : 'no', consent, fault: null }
}

function misshapen(fault: string): Asked {
  return { answer: 'misshapen', consent: null, fault }
}

function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MOST_SECONDS
}

/** Whether a consent is over by the server's clock. */
export function hasEnded(consent: Consent | null, now: () => number): boolean {
  return consent !== null && consent.expiresAt !== null && now() / 1000 >= consent.expiresAt
}
