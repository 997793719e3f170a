/** Attributes of CloudEvents 1.0 (3.1, 3.3), and which of them must be there. */
const CORE = ['specversion', 'id', 'source', 'type', 'time', 'datacontenttype', 'dataschema', 'subject']
const REQUIRED = ['specversion', 'id', 'source', 'type']

/** Names of attributes (CloudEvents 3): lower-case letters and digits; 20 characters are recommended at most. */
const NAME = /^[a-z0-9]{1,20}$/
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/
const URI_REFERENCE = /^[!-~]+$/

/** Words that the extension Auth Context defines for `authtype`. */
const AUTH_TYPES = ['app_user', 'user', 'service_account', 'api_key', 'system', 'unauthenticated', 'unknown']

function isText(value: unknown): boolean {
  if (typeof value !== 'string' || value === '') return false
  return [...value].every((character) => {
    const point = character.codePointAt(0) ?? 0
    const control = point <= 0x1f || (point >= 0x7f && point <= 0x9f)
    const nonCharacter = (point >= 0xfdd0 && point <= 0xfdef) || point % 0x10000 >= 0xfffe
    return !control && !nonCharacter && !(point >= 0xd800 && point <= 0xdfff)
  })
}

/** An extension's value: a Boolean, an Integer of 32 bits, or a String and what is written as one (CloudEvents 3.2). */
function isValue(value: unknown): boolean {
  return typeof value === 'boolean' || (Number.isInteger(value) && Math.abs(value as number) < 2 ** 31) || isText(value)
}

/** Where a value is not a CloudEvent 1.0 in JSON; empty where it is. */
export function cloudEventFindings(value: unknown): readonly string[] {
  const { data, ...attributes } = value as Record<string, unknown>
  const shapes: Readonly<Record<string, RegExp>> = { specversion: /^1\.0$/, source: URI_REFERENCE, time: RFC3339 }
  return [
    ...REQUIRED.filter((name) => !Object.hasOwn(attributes, name)).map((name) => `${name}: is required`),
    ...Object.keys(attributes)
      .filter((name) => !NAME.test(name))
      .map((name) => `${name}: is no name of an attribute`),
    ...Object.entries(attributes)
      .filter(([, each]) => !isValue(each))
      .map(([name, each]) => `${name}: ${JSON.stringify(each)} is no value`),
    ...CORE.filter((name) => shapes[name]?.test(`${attributes[name]}`) === false).map((name) => `${name}: has another shape`),
    ...(AUTH_TYPES.includes(`${attributes['authtype']}`) ? [] : ['authtype: is not one of the words']),
    ...(typeof data === 'object' && data !== null ? [] : ['data: is missing']),
  ]
}
