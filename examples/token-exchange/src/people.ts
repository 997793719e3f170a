import { randomUUID } from 'node:crypto'

/** Somebody with an account at the authorization server. */
export interface Person {
  readonly id: string
  /** Made anew for each run. */
  readonly password: string
  /** Who may act for this person, by the person's own wish: what becomes `may_act` (RFC 8693 4.4). */
  readonly helper: string | null
}

/** The people of the story. */
export type PersonName = 'ada' | 'sam' | 'mallory'

/** Everybody who can sign in. */
export type People = Readonly<Record<PersonName, Person>>

/** Ada is a customer, and has asked Sam of support for help. Sam works with the research agent. Mallory is of support too, and was not asked. */
export function createPeople(): People {
  const person = (id: string, helper: string | null): Person => ({ id, password: randomUUID(), helper })
  return { ada: person('ada', 'sam'), sam: person('sam', 'researcher'), mallory: person('mallory', null) }
}
