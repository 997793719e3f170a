import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'

interface Field {
  readonly type: string
  readonly array?: boolean
  readonly allowed?: readonly string[]
}

interface EcsList {
  readonly version: string
  readonly required: readonly string[]
  readonly fields: Readonly<Record<string, Field>>
  readonly expectedTypes: Readonly<Record<string, readonly string[]>>
}

/** The published fields of ten field sets of ECS. */
export const ECS: EcsList = JSON.parse(readFileSync(new URL('ecs-9.3.0.json', import.meta.url), 'utf8')) as EcsList

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  keyword: (value) => typeof value === 'string',
  match_only_text: (value) => typeof value === 'string',
  long: Number.isSafeInteger,
  date: (value) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value),
  ip: (value) => typeof value === 'string' && isIP(value) !== 0 && !value.includes('%'),
}

/** What a document has that ECS does not know, and what it lacks; `behalf.*` is ours. Empty where it is a document of ECS. */
export function ecsFindings(document: unknown): readonly string[] {
  const leaves = leavesOf(document, '').filter(([path]) => !path.startsWith('behalf.'))
  const missing = ECS.required.filter((name) => !leaves.some(([path]) => path === name))
  const { category, type } = (document as { event: { category: string[]; type: string[] } }).event
  const expected = category.flatMap((each) => ECS.expectedTypes[each] ?? [])
  return [
    ...missing.map((name) => `${name}: is required`),
    ...leaves.flatMap(([path, value]) => fieldFindings(path, value)),
    ...type.filter((each) => !expected.includes(each)).map((each) => `event.type: ${each} is not expected in ${category}`),
  ]
}

function leavesOf(value: unknown, path: string): [string, unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[path, value]]
  return Object.entries(value).flatMap(([name, member]) => leavesOf(member, path === '' ? name : `${path}.${name}`))
}

function fieldFindings(path: string, value: unknown): string[] {
  const field = ECS.fields[path]
  if (field === undefined) return [`${path}: is not in the list`]
  if (field.array === true && !Array.isArray(value)) return [`${path}: is no list`]
  if (field.array !== true && Array.isArray(value)) return [`${path}: is a list`]
  return (Array.isArray(value) ? value : [value]).flatMap((each) => {
    if (TYPES[field.type]?.(each) !== true) return [`${path}: ${JSON.stringify(each)} is no ${field.type}`]
    return field.allowed?.includes(each) === false ? [`${path}: ${each} is not allowed`] : []
  })
}
