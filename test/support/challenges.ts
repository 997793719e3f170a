/** `WWW-Authenticate`, taken apart by the grammar of RFC 9110 11.2 and 11.6.1: several challenges in one field. */

interface Challenge {
  readonly scheme: string
  /** In order; a name that stands twice is there twice. */
  readonly parameters: readonly (readonly [name: string, value: string])[]
}

/** A parameter; or a scheme, alone or with its first parameter. Behind each of them a comma, or the end. */
const ITEM = /\s*(?:([a-z_]+)="([^"\\]*)"|([A-Za-z]+)(?: +([a-z_]+)="([^"\\]*)")?)\s*(?:,|$)/y

/** The challenges of a field; `null` where it does not follow the grammar, or says a parameter of no scheme. */
function parseChallenges(value: string | undefined): readonly Challenge[] | null {
  if (value === undefined || value === '') return null
  const challenges: { scheme: string; parameters: [string, string][] }[] = []
  ITEM.lastIndex = 0
  while (ITEM.lastIndex < value.length) {
    const match = ITEM.exec(value)
    if (match === null) return null
    const [, name, text = '', scheme, firstName, firstText = ''] = match
    if (scheme !== undefined) {
      challenges.push({ scheme, parameters: firstName === undefined ? [] : [[firstName, firstText]] })
    } else {
      const last = challenges.at(-1)
      if (last === undefined || name === undefined) return null
      last.parameters.push([name, text])
    }
  }
  return challenges
}

/** The parameters of each scheme. Fails where the field follows no grammar, or says a scheme or a parameter twice. */
export function challengesOf(value: string | undefined): Readonly<Record<string, Readonly<Record<string, string>>>> {
  const challenges = parseChallenges(value)
  if (challenges === null) throw new Error(`no challenges: ${value}`)
  const once = (names: readonly string[]) => {
    if (new Set(names).size !== names.length) throw new Error(`something stands twice: ${value}`)
  }
  once(challenges.map(({ scheme }) => scheme))
  for (const { parameters } of challenges) once(parameters.map(([name]) => name))
  return Object.fromEntries(challenges.map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]))
}
