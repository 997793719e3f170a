/** The means by which drafts of requests are changed. */
import fc from 'fast-check'
import { type Draft, type Members, NOW_SECONDS, type Twist } from './proof-draft.js'

/** A change by its name. */
export const twist = (name: string, apply: Twist['apply']): Twist => ({ name, apply })

/** From a value to another one of its kind. */
export type Change<T> = (value: T) => T

/** Sets a member where it stands, or adds it; `null` takes it away. */
export function withMember(members: Members, name: string, json: string | null): Members {
  if (json === null) return members.filter(([each]) => each !== name)
  if (!members.some(([each]) => each === name)) return [...members, [name, json]]
  return members.map((each) => (each[0] === name ? [name, json] : each))
}

/** Sets a member of the header; `null` takes it away. */
export function setHeader(name: string, json: string | null): Twist {
  return twist(`header ${name} ${json?.slice(0, 80)}`, (draft) => ({ ...draft, header: withMember(draft.header, name, json) }))
}

/** Changes the claims as they are written, once the token is known. */
export function changeClaims(name: string, change: (members: Members, token: string, draft: Draft) => Members): Twist {
  return twist(name, (draft) => ({ ...draft, claims: (token) => change(draft.claims(token), token, draft) }))
}

/** Sets a claim; `null` takes it away. */
export function setClaim(name: string, json: string | null): Twist {
  return changeClaims(`claim ${name} ${json?.slice(0, 80)}`, (members) => withMember(members, name, json))
}

/** The text of a claim, changed. */
export function changeClaim(what: string, name: string, change: (value: string, draft: Draft, token: string) => string): Twist {
  return changeClaims(`claim ${name} ${what}`, (members, token, draft) => {
    const value = textOf(members, name)
    return value === null ? members : withMember(members, name, JSON.stringify(change(value, draft, token)))
  })
}

/** The text that a member holds; `null` where another change has made it something else. */
export function textOf(members: Members, name: string): string | null {
  try {
    const value: unknown = JSON.parse(members.find(([each]) => each === name)?.[1] ?? 'null')
    return typeof value === 'string' ? value : null
  } catch {
    return null
  }
}

/** Some of a string's characters, written in other ways: one number says how each is. */
export const ways = fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: 12 })

/** A text with each character changed in the way that is said for it. */
export function rewrite(text: string, how: readonly number[], change: (character: string, way: number) => string): string {
  return [...text].map((character, at) => change(character, how[at % how.length] ?? 0)).join('')
}

/** JSON of every type. */
export const VALUES = [
  ...[
    'null',
    'true',
    'false',
    '0',
    '-0',
    '1',
    '1e400',
    '-1e400',
    '0.5',
    '""',
    '" "',
    '"x"',
    '"\\u0000"',
    '"\\ud800"',
    '"__proto__"',
  ],
  ...['[]', '{}', '[null]', '["x"]', '{"x":1}', '{"__proto__":{}}', '[[[[]]]]', '"\u2028"', '"\u00e9\u{1f600}"'],
]

/** Texts that are no JSON where a value should stand. */
export const NO_VALUES = [
  '',
  'undefined',
  'NaN',
  'Infinity',
  '01',
  '+1',
  '1.',
  '.5',
  '0x10',
  "'x'",
  '"x',
  '{"x":1',
  '[1,]',
  '1 2',
  '"\n"',
]

/** A list in a list, so many deep. */
export const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** The same bytes, with other bits at the end where there are some that no byte uses. */
export function looseBits(text: string): string {
  const unused = text.length % 4 === 2 ? 16 : text.length % 4 === 3 ? 4 : 1
  const last = ALPHABET.indexOf(text.at(-1) ?? 'A')
  return text.slice(0, -1) + ALPHABET[last ^ (unused - 1)]
}

/** Changes what base64url stands for. */
export function changeBytes(change: (bytes: Buffer) => Buffer): Change<string> {
  return (text) => change(Buffer.from(text, 'base64url')).toString('base64url')
}

/** One byte. */
export const ZERO = Buffer.alloc(1)

/** The world's time in whole seconds. */
export const WHOLE: number = Math.floor(NOW_SECONDS)
