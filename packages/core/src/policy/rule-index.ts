import type { DelegatedContext } from '../delegation/context.js'
import type { DelegationKind } from '../delegation/dialect.js'
import type { Party, UnknownParty } from '../delegation/party.js'
import type { PartyMatcher } from './matcher.js'
import { type CompiledRule, fitsRule } from './rule.js'

/** Rules, prepared so that a call meets only those that can fit it, however many there are for others. */
export interface RuleIndex {
  /** The first rule that fits, in the order in which the rules were given; `null`: none does. */
  first(context: DelegatedContext): CompiledRule | null
}

/** A rule and its place in the order. */
interface Placed {
  readonly rule: CompiledRule
  readonly place: number
}

/** Rules of one kind and issuer. Each stands under the most telling thing that it names, or among `others`. */
interface Shelf {
  readonly byActorId: Map<string, Placed[]>
  readonly bySubjectId: Map<string, Placed[]>
  readonly byTenant: Map<string, Placed[]>
  readonly byActorProfile: Map<string, Placed[]>
  readonly others: Placed[]
}

/** Stands for rules that name no issuer. */
const ANY_ISSUER = Symbol('any issuer')

export function createRuleIndex(rules: readonly CompiledRule[]): RuleIndex {
  const shelves: Record<DelegationKind, Map<string | symbol, Shelf>> = { impersonation: new Map(), delegation: new Map() }
  rules.forEach((rule, place) => {
    for (const kind of rule.kinds) {
      for (const issuer of rule.issuers ?? [ANY_ISSUER]) {
        const shelf = shelves[kind].get(issuer) ?? emptyShelf()
        shelves[kind].set(issuer, shelf)
        put(shelf, { rule, place })
      }
    }
  })

  return {
    first(context) {
      const ofKind = shelves[context.kind]
      const found = earlier(firstOn(ofKind.get(context.token.issuer), context), firstOn(ofKind.get(ANY_ISSUER), context))
      return found?.rule ?? null
    },
  }
}

function emptyShelf(): Shelf {
  return { byActorId: new Map(), bySubjectId: new Map(), byTenant: new Map(), byActorProfile: new Map(), others: [] }
}

function put(shelf: Shelf, placed: Placed): void {
  const { rule } = placed
  const actorIds = everyOne(rule.actors, 'id')
  const subjectIds = everyOne(rule.subjects, 'id')
  const profiles = everyOne(rule.actors, 'profile')
  if (actorIds !== null) putUnder(shelf.byActorId, actorIds, placed)
  else if (subjectIds !== null) putUnder(shelf.bySubjectId, subjectIds, placed)
  else if (rule.tenants !== null) putUnder(shelf.byTenant, rule.tenants, placed)
  else if (profiles !== null) putUnder(shelf.byActorProfile, profiles, placed)
  else shelf.others.push(placed)
}

function putUnder(map: Map<string, Placed[]>, names: Iterable<string>, placed: Placed): void {
  for (const name of names) {
    const list = map.get(name)
    if (list === undefined) map.set(name, [placed])
    else list.push(placed)
  }
}

/** What every one of the matchers names, so that a party without one of these fits none; `null` where one of them does not name it. */
function everyOne(matchers: readonly PartyMatcher[] | null, member: 'id' | 'profile'): ReadonlySet<string> | null {
  if (matchers === null) return null
  const names = matchers.map((matcher) => matcher[member])
  return names.every((name) => name !== undefined) ? new Set(names) : null
}

function firstOn(shelf: Shelf | undefined, context: DelegatedContext): Placed | null {
  if (shelf === undefined) return null
  const { actor, subject, tenant } = context
  let found = firstOf(shelf.others, context)
  found = earlier(found, firstOf(listOf(shelf.byActorId, actor), context))
  found = earlier(found, firstOf(listOf(shelf.bySubjectId, subject), context))
  if (tenant !== null) found = earlier(found, firstOf(shelf.byTenant.get(tenant), context))
  for (const profile of actor.profiles) found = earlier(found, firstOf(shelf.byActorProfile.get(profile), context))
  return found
}

function listOf(map: ReadonlyMap<string, Placed[]>, { id }: Party | UnknownParty): readonly Placed[] | undefined {
  return id === null ? undefined : map.get(id)
}

function firstOf(list: readonly Placed[] | undefined, context: DelegatedContext): Placed | null {
  return list?.find(({ rule }) => fitsRule(rule, context)) ?? null
}

function earlier(one: Placed | null, other: Placed | null): Placed | null {
  if (one === null || other === null) return one ?? other
  return one.place < other.place ? one : other
}
