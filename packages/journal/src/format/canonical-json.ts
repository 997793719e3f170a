/** Deeper values are refused: they are no records, and would end the stack. */
const MAX_DEPTH = 100

/**
 * A value as canonical JSON (RFC 8785): members sorted by the UTF-16 code units of their names, no white space, strings and numbers
 * as `JSON.stringify` writes them (which escapes a lone surrogate, where RFC 8785 3.2.2.2 stops).
 * @throws TypeError for everything that JSON has no word for, rather than leaving it out: `undefined`, also as a member; `NaN`
 * and infinities; bigints, functions, symbols; objects of a class; nesting beyond 100
 */
export function canonicalJson(value: unknown): string {
  return canonicalValue(value, MAX_DEPTH)
}

function canonicalValue(value: unknown, depthLeft: number): string {
  switch (typeof value) {
    case 'string':
      return canonicalString(value)
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError('a record cannot hold a number that is not finite')
      return value === 0 ? '0' : `${value}`
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (depthLeft === 0) throw new TypeError(`a record cannot hold values that are nested deeper than ${MAX_DEPTH}`)
      return Array.isArray(value) ? canonicalArray(value, depthLeft - 1) : canonicalObject(value, depthLeft - 1)
    default:
      throw new TypeError(`a record cannot hold ${typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`}`)
  }
}

/** What `JSON.stringify` escapes in a string. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/

function canonicalString(text: string): string {
  return ESCAPED.test(text) ? JSON.stringify(text) : `"${text}"`
}

function canonicalArray(values: readonly unknown[], depthLeft: number): string {
  const { length } = values
  if (length === 0) return '[]'
  let text = `[${canonicalValue(values[0], depthLeft)}`
  for (let index = 1; index < length; index++) text += `,${canonicalValue(values[index], depthLeft)}`
  return `${text}]`
}

function canonicalObject(object: object, depthLeft: number): string {
  const prototype = Object.getPrototypeOf(object)
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError('a record cannot hold an object of a class')
  const keys = Object.keys(object)
  const { length } = keys
  if (length === 0) return '{}'
  const { names, openings } = shapeOf(keys)
  let text = ''
  for (let index = 0; index < length; index++) {
    text += openings[index] as string
    text += canonicalValue((object as Record<string, unknown>)[names[index] as string], depthLeft)
  }
  return `${text}}`
}

/** Objects with the same names in the same order: sorting them and quoting them is half the work, and done once. */
export interface Shape {
  readonly keys: readonly string[]
  /** Sorted. */
  readonly names: readonly string[]
  /** What stands before each value: `{"first":`, `,"next":`. */
  readonly openings: readonly string[]
}

/** Shapes by their number of names. Few are kept: records have few shapes, but parties can bring names of their own. */
const shapes = new Map<number, Shape[]>()
const SHAPES_KEPT = 8
const LONGEST_SHAPE_KEPT = 64

/** The shape of an object with these names, from memory where it is known. */
export function shapeOf(keys: readonly string[]): Shape {
  let known = shapes.get(keys.length)
  if (known !== undefined) for (const shape of known) if (sameNames(shape.keys, keys)) return shape
  const shape = createShape(keys)
  if (keys.length > LONGEST_SHAPE_KEPT) return shape
  if (known === undefined) {
    known = []
    shapes.set(keys.length, known)
  }
  if (known.length === SHAPES_KEPT) known.shift()
  known.push(shape)
  return shape
}

function sameNames(some: readonly string[], others: readonly string[]): boolean {
  for (let index = 0; index < some.length; index++) if (some[index] !== others[index]) return false
  return true
}

function createShape(keys: readonly string[]): Shape {
  const names = [...keys].sort() // by UTF-16 code units
  return { keys, names, openings: names.map((name, index) => `${index === 0 ? '{' : ','}${canonicalString(name)}:`) }
}
