/** As much of TypeScript as the tests of the documentation need: what the interfaces of a formatted file declare. */

/** A member of an interface, or of an object type inside one that is written over several lines. */
export interface DeclaredMember {
  /** With the names of the members around it: `http.status`. */
  readonly path: string
  /** Whether a doc comment ends right above it. */
  readonly documented: boolean
}

/** Names of the interfaces that an interface extends, type arguments left out. */
export function basesOf(source: string, name: string): readonly string[] {
  const [, bases = ''] = new RegExp(`^(?:export )?interface ${name}(?:<[^>]*>)? extends (.+) \\{$`, 'm').exec(source) ?? []
  return bases
    .replace(/<[^>]*>/g, '')
    .split(',')
    .map((base) => base.trim())
    .filter((base) => base !== '')
}

/** What an interface declares itself, in order; `null` where the source has no such interface. What it inherits is not among it. */
export function membersOf(source: string, name: string): readonly DeclaredMember[] | null {
  const lines = source.split('\n')
  const from = lines.findIndex((line) => new RegExp(`^(?:export )?interface ${name}\\b.*\\{`).test(line))
  if (from === -1) return null
  if (lines[from]?.endsWith('{}')) return []
  const members: DeclaredMember[] = []
  const around: string[] = []
  let parentheses = 0
  for (let at = from + 1; lines[at] !== '}'; at++) {
    const line = lines[at]
    if (line === undefined) throw new Error(`the interface ${name} does not end`)
    if (/^\s*(?:\/?\*|\/\/)/.test(line)) continue
    if (/^\s+\}/.test(line)) around.pop()
    const member = parentheses === 0 ? /^\s+(?:readonly )?(\w+|\[[\w.]+\])\??[(:<]/.exec(line)?.[1] : undefined
    if (member !== undefined) {
      members.push({ path: [...around, member].join('.'), documented: lines[at - 1]?.trimEnd().endsWith('*/') ?? false })
      if (line.endsWith('{')) around.push(member)
    }
    parentheses += (line.match(/\(/g) ?? []).length - (line.match(/\)/g) ?? []).length
  }
  return members
}
