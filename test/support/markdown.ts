/** As much of Markdown as the tests of the documentation need. */

/** A fenced block, with the comment right above it, if there is one. */
export interface Fence {
  readonly language: string
  readonly text: string
  /** Text of `<!-- … -->` on the line above, `null` without one. */
  readonly marker: string | null
}

export function fencesOf(markdown: string): readonly Fence[] {
  const fences = /(?:^<!-- (.+?) -->\n)?^```(\w*)\n([\s\S]*?)^```$/gm
  return [...markdown.matchAll(fences)].map(([, marker, language = '', text = '']) => ({
    language,
    text,
    marker: marker ?? null,
  }))
}

/** Rows of the table right below a comment, its head left out; each a list of cells. */
export function tableBelow(markdown: string, marker: string): readonly (readonly string[])[] {
  const from = markdown.indexOf(`<!-- ${marker} -->\n|`)
  if (from === -1) throw new Error(`no table below <!-- ${marker} -->`)
  const lines = markdown.slice(markdown.indexOf('\n', from) + 1).split('\n')
  const end = lines.findIndex((line) => !line.startsWith('|'))
  return lines.slice(2, end === -1 ? lines.length : end).map(cellsOf)
}

function cellsOf(line: string): readonly string[] {
  return line
    .slice(1, line.lastIndexOf('|'))
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim())
}

/** The code words of a cell: `` `a` ``. */
export function codeIn(cell: string | undefined): string {
  return /^`([^`]+)`$/.exec(cell ?? '')?.[1] ?? ''
}

/** Targets of links and images, outside of code. */
export function linksOf(markdown: string): readonly string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
}

/** The names that headings can be linked by. */
export function anchorsOf(markdown: string): ReadonlySet<string> {
  const headings = markdown.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#{1,6} (.+)$/gm)
  const name = (heading: string) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
  return new Set([...headings].map(([, heading = '']) => name(heading)))
}
