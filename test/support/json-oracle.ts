/**
 * Whether a text is JSON (RFC 8259) without duplicate members and nested no deeper than allowed. A reader of its own, by the
 * grammar: it shares neither code nor method with the one under test.
 */
export function isStrictJson(text: string, maxDepth: number): boolean {
  const reader = new Reader(text, maxDepth)
  try {
    reader.value(0)
    reader.space()
    return reader.at === text.length
  } catch (error) {
    if (error === NOT_JSON) return false
    throw error
  }
}

const NOT_JSON = Symbol('not JSON')
const STRING = /"(?:[ -!#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const SCALAR = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const SPACE = /[ \t\n\r]*/y
const SHORT: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

class Reader {
  at = 0
  readonly #text: string
  readonly #maxDepth: number

  constructor(text: string, maxDepth: number) {
    this.#text = text
    this.#maxDepth = maxDepth
  }

  value(depth: number): void {
    this.space()
    const first = this.#text[this.at]
    if (first === '"') this.#take(STRING)
    else if (first !== '{' && first !== '[') this.#take(SCALAR)
    else if (depth === this.#maxDepth) throw NOT_JSON
    else if (first === '[') this.#items(']', () => this.value(depth + 1))
    else {
      const seen = new Set<string>()
      this.#items('}', () => {
        this.space()
        const name = unescaped(this.#take(STRING))
        if (seen.has(name)) throw NOT_JSON
        seen.add(name)
        this.#expect(':')
        this.value(depth + 1)
      })
    }
  }

  space(): void {
    this.#take(SPACE)
  }

  #items(close: string, item: () => void): void {
    this.at++
    this.space()
    if (this.#text[this.at] !== close) {
      item()
      this.space()
      while (this.#text[this.at] === ',') {
        this.at++
        item()
        this.space()
      }
    }
    this.#expect(close)
  }

  #expect(mark: string): void {
    this.space()
    if (this.#text[this.at] !== mark) throw NOT_JSON
    this.at++
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.#text)?.[0]
    if (found === undefined) throw NOT_JSON
    this.at += found.length
    return found
  }
}

function unescaped(quoted: string): string {
  return quoted
    .slice(1, -1)
    .replace(/\\(?:u(....)|(.))/g, (_, hex: string | undefined, short: string) =>
      hex === undefined ? (SHORT[short] ?? short) : String.fromCharCode(Number.parseInt(hex, 16)),
    )
}
