import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'

interface Attribute {
  readonly type: string
  readonly object?: string
  readonly array?: boolean
  readonly requirement: 'required' | 'recommended' | 'optional'
  readonly profiles?: readonly string[]
  readonly enum?: Readonly<Record<string, string>>
}

interface Definition {
  readonly uid?: number
  readonly profiles?: readonly string[]
  readonly atLeastOne?: readonly string[]
  readonly attributes: Readonly<Record<string, Attribute>>
}

interface OcsfList {
  readonly version: string
  readonly classes: Readonly<Record<string, Definition>>
  readonly objects: Readonly<Record<string, Definition>>
}

/** The published attributes of two classes of OCSF, and of the objects that the mapping writes. */
export const OCSF: OcsfList = JSON.parse(readFileSync(new URL('ocsf-1.9.0.json', import.meta.url), 'utf8')) as OcsfList

/** Where an id's caption stands: `status_id` beside `status`, `class_uid` beside `class_name`. */
function captionOf(name: string): string {
  if (name === 'activity_id') return 'activity_name'
  return name.endsWith('_uid') ? name.replace(/_uid$/, '_name') : name.replace(/_id$/, '')
}

const SCALARS: Readonly<Record<string, (value: unknown) => boolean>> = {
  integer_t: Number.isSafeInteger,
  long_t: Number.isSafeInteger,
  timestamp_t: Number.isSafeInteger,
  boolean_t: (value) => typeof value === 'boolean',
  ip_t: (value) => typeof value === 'string' && isIP(value) !== 0 && !value.includes('%'),
}

/** What an event has that its class does not allow, and what it lacks; empty where it is an event of OCSF. */
export function ocsfFindings(event: unknown): readonly string[] {
  const { class_uid: uid, category_uid: category, metadata } = event as Record<string, unknown>
  const found = Object.values(OCSF.classes).find((each) => each.uid === uid)
  if (found === undefined) return [`class_uid: no list of class ${uid}`]
  const applied = ((metadata as { profiles?: readonly string[] } | undefined)?.profiles ?? []) as readonly string[]
  const foreign = applied.filter((profile) => !found.profiles?.includes(profile))
  const { type_uid: type, activity_id: activity } = event as Record<string, number>
  return [
    ...foreign.map((profile) => `metadata.profiles: ${profile} is not one of the class`),
    ...(type === Number(uid) * 100 + Number(activity) ? [] : ['type_uid: is not class_uid * 100 + activity_id']),
    ...(category === Math.floor(Number(uid) / 1000) ? [] : ['category_uid: is not that of the class']),
    ...membersFindings(event, found, new Set(applied), ''),
  ]
}

function membersFindings(
  value: unknown,
  { attributes, atLeastOne }: Definition,
  applied: ReadonlySet<string>,
  path: string,
): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${path}: is no object`]
  const members = value as Record<string, unknown>
  const applies = ({ profiles }: Attribute) => profiles === undefined || profiles.some((profile) => applied.has(profile))
  const findings = Object.entries(members).flatMap(([name, member]) => {
    const attribute = attributes[name]
    if (attribute === undefined) return [`${path}${name}: is not in the list`]
    if (!applies(attribute)) return [`${path}${name}: needs one of the profiles ${attribute.profiles}`]
    return [...valueFindings(member, attribute, applied, `${path}${name}`), ...captionFindings(members, name, attribute, path)]
  })
  for (const [name, attribute] of Object.entries(attributes)) {
    if (attribute.requirement === 'required' && applies(attribute) && !Object.hasOwn(members, name))
      findings.push(`${path}${name}: is required`)
  }
  if (atLeastOne !== undefined && !atLeastOne.some((name) => Object.hasOwn(members, name)))
    findings.push(`${path}: needs one of ${atLeastOne}`)
  return findings
}

function valueFindings(value: unknown, attribute: Attribute, applied: ReadonlySet<string>, path: string): string[] {
  if (attribute.array) {
    if (!Array.isArray(value)) return [`${path}: is no list`]
    return value.flatMap((each, index) => valueFindings(each, { ...attribute, array: false }, applied, `${path}[${index}]`))
  }
  if (attribute.type === 'object_t') {
    if (path === 'unmapped') return typeof value === 'object' && value !== null ? [] : ['unmapped: is no object']
    const definition = OCSF.objects[attribute.object ?? '']
    return definition === undefined
      ? [`${path}: no list of the object ${attribute.object}`]
      : membersFindings(value, definition, applied, `${path}.`)
  }
  const fits = SCALARS[attribute.type] ?? ((each: unknown) => typeof each === 'string')
  if (!fits(value)) return [`${path}: ${JSON.stringify(value)} is no ${attribute.type}`]
  return attribute.enum === undefined || Object.hasOwn(attribute.enum, `${value}`) ? [] : [`${path}: ${value} is not allowed`]
}

/** The caption beside an id; of 99 the source's own word, but for `type_name`. */
function captionFindings(members: Record<string, unknown>, name: string, { enum: ids }: Attribute, path: string): string[] {
  const sibling = captionOf(name)
  if (ids === undefined || sibling === name || !Object.hasOwn(members, sibling)) return []
  const said = members[sibling]
  if (members[name] === 99)
    return typeof said === 'string' && said !== '' && said !== 'Other' ? [] : [`${path}${sibling}: must say what is meant`]
  return said === ids[`${members[name]}`] ? [] : [`${path}${sibling}: is not the caption of ${name}`]
}
