import { detailOf, type RefusalCode, statusOf } from '../challenge.js'

/** One reason why a token would be refused, whoever signed it. */
export interface InspectedRefusal {
  /** As in `docs/errors.md`. */
  readonly code: RefusalCode
  /** HTTP status that a resource server would answer with. */
  readonly status: number
  /** A fixed text. */
  readonly detail: string
  /** Claims or header members that the reason is about, by name; empty where it is about the token as a whole. */
  readonly members: readonly string[]
  /** What the issuer's options accept there, in words; empty where that is no list of values. Configuration, never the token's text. */
  readonly accepted: readonly string[]
}

export function inspectedRefusal(
  code: RefusalCode,
  members: readonly string[] = [],
  accepted: readonly string[] = [],
): InspectedRefusal {
  return Object.freeze({
    code,
    status: statusOf(code),
    detail: detailOf(code),
    members: Object.freeze([...members]),
    accepted: Object.freeze([...accepted]),
  })
}
