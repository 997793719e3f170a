/** Any JSON value, as claims hold it. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject
/** A JSON object, as claims hold it. */
export interface JsonObject {
  readonly [name: string]: JsonValue | undefined
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Parses JSON (RFC 8259) strictly: an object with two members of one name, also when only their escapes differ, and nesting
 * beyond `maxDepth` are no JSON here. Parsers disagree on which of two members wins (RFC 7519 4), so a gateway and this API
 * could see different actors.
 *
 * @returns the value, or `undefined` where the text is refused
 */
export function parseStrictJson(text: string, maxDepth: number): JsonValue | undefined {
  let value: JsonValue
  try {
    value = JSON.parse(text) as JsonValue
  } catch {
    return undefined
  }
  const { colons, escapedNames } = scan(text)
  if (escapedNames) return rereadNames(text, maxDepth)
  // Each member of the text has exactly one colon outside strings; the parsed value has fewer members where one was overwritten.
  return countMembers(value, maxDepth) === colons ? value : undefined
}

/**
 * Parses a text that is known to be JSON, reading its names itself: `JSON.parse` of Node 24 can take one escaped name for another
 * (docs/decisions/0012), and a claim that is read under another name is a claim that is not seen. Rare, so it may be slow.
 */
function rereadNames(text: string, maxDepth: number): JsonValue | undefined {
  const tokens = text.match(JSON_TOKEN) ?? []
  let at = 0
  const read = (depthLeft: number): JsonValue | undefined => {
    const token = tokens[at++] ?? ''
    if (token !== '{' && token !== '[') return JSON.parse(token) as JsonValue
    if (depthLeft === 0) return undefined
    return token === '[' ? readList(depthLeft) : readObject(depthLeft)
  }
  const readList = (depthLeft: number): JsonValue | undefined => {
    const list: JsonValue[] = []
    while (tokens[at] !== ']') {
      const value = read(depthLeft - 1)
      if (value === undefined) return undefined
      list.push(value)
      if (tokens[at] === ',') at++
    }
    at++
    return list
  }
  const readObject = (depthLeft: number): JsonValue | undefined => {
    const members = new Map<string, JsonValue>()
    while (tokens[at] !== '}') {
      const name = JSON.parse(tokens[at] ?? '') as string
      at += 2 // the name and its colon
      const value = read(depthLeft - 1)
      if (value === undefined || members.has(name)) return undefined
      members.set(name, value)
      if (tokens[at] === ',') at++
    }
    at++
    return Object.fromEntries(members)
  }
  return read(maxDepth)
}

/** A bracket, a colon, a comma, a string, or any other value. */
const JSON_TOKEN = /[{}[\]:,]|"(?:[^"\\]|\\.)*"|[^\s{}[\]:,"]+/gs

/** Members of all objects in a value, or -1 where it is nested too deep. */
function countMembers(value: JsonValue | undefined, depthLeft: number): number {
  if (typeof value !== 'object' || value === null) return 0
  if (depthLeft === 0) return -1
  const list = Array.isArray(value)
  const inner: readonly (JsonValue | undefined)[] = list ? value : Object.values(value)
  let members = list ? 0 : inner.length
  for (const each of inner) {
    const below = countMembers(each, depthLeft - 1)
    if (below < 0) return -1
    members += below
  }
  return members
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a

/** Colons outside strings, and whether a member's name holds an escape, in a text that is known to be JSON. */
function scan(text: string): { readonly colons: number; readonly escapedNames: boolean } {
  let colons = 0
  let escapedNames = false
  let escaped = false // whether the string before this place held an escape
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit === COLON) {
      colons++
      escapedNames ||= escaped
    } else if (unit === QUOTE) {
      escaped = false
      for (at++; text.charCodeAt(at) !== QUOTE; at++) {
        if (text.charCodeAt(at) !== BACKSLASH) continue
        escaped = true
        at++
      }
    }
  }
  return { colons, escapedNames }
}

/**
 * Freezes a parsed value deeply, and takes the prototypes of its objects and any member `__proto__` away, so that neither an
 * inherited member nor a handler's assignment can change what a claim says. Nesting must be bounded (see {@link parseStrictJson}).
 *
 * @param value nobody else's: it is changed
 */
export function frozen<T extends JsonValue>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    for (const each of value) frozen(each as JsonValue)
    return Object.freeze(value)
  }
  const object = Object.setPrototypeOf(value, null) as { [name: string]: JsonValue }
  for (const name in object) {
    const member = object[name]
    if (typeof member === 'object') frozen(member)
  }
  if (Object.hasOwn(object, '__proto__')) Reflect.deleteProperty(object, '__proto__')
  return Object.freeze(object) as T
}

/** A copy of an object without some of its members, frozen in the same way. */
export function frozenWithout(object: JsonObject, names: ReadonlySet<string>): JsonObject {
  const copy: Record<string, JsonValue> = Object.create(null)
  for (const [name, member] of Object.entries(object)) {
    if (name !== '__proto__' && member !== undefined && !names.has(name)) copy[name] = frozen(member)
  }
  return Object.freeze(copy)
}
