import type { JsonValue } from '@behalf/core'

/** A member at a path of names; `undefined` where there is none. The shape of what stands in a record is not relied on. */
export function fieldAt(body: JsonValue, ...path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = body
  for (const name of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return undefined
    value = (value as Readonly<Record<string, JsonValue>>)[name]
  }
  return value
}

/** A text at a path; `null` where there is none. */
export function textAt(body: JsonValue, ...path: readonly string[]): string | null {
  const value = fieldAt(body, ...path)
  return typeof value === 'string' ? value : null
}

/** A number at a path; `null` where there is none. */
export function numberAt(body: JsonValue, ...path: readonly string[]): number | null {
  const value = fieldAt(body, ...path)
  return typeof value === 'number' ? value : null
}
