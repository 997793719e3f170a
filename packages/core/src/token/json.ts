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
  // Each member of the text has exactly one colon outside strings; the parsed value has fewer members where one was overwritten.
  return countMembers(value, maxDepth) === countColons(text) ? value : undefined
}

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

/** Colons outside strings, in a text that is known to be JSON. */
function countColons(text: string): number {
  let colons = 0
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit === COLON) colons++
    else if (unit === QUOTE) {
      for (at++; text.charCodeAt(at) !== QUOTE; at++) if (text.charCodeAt(at) === BACKSLASH) at++
    }
  }
  return colons
}

/**
 * A deeply frozen copy whose objects have no prototype and no member `__proto__`, so that neither an inherited member nor a
 * handler's assignment can change what a claim says. Nesting must be bounded (see {@link parseStrictJson}).
 */
export function frozenCopy<T extends JsonValue>(value: T, without?: ReadonlySet<string>): T
export function frozenCopy(value: JsonValue, without?: ReadonlySet<string>): JsonValue {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return Object.freeze(value.map((each: JsonValue) => frozenCopy(each)))
  const copy: Record<string, JsonValue> = Object.create(null)
  for (const [name, member] of Object.entries(value as JsonObject)) {
    if (name !== '__proto__' && member !== undefined && !without?.has(name)) copy[name] = frozenCopy(member)
  }
  return Object.freeze(copy)
}
