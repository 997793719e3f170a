import type { JsonValue } from '@behalf/core'
import fc from 'fast-check'
import { MARKERS, type OracleDialect } from './delegation-oracle.js'

/** A claims set as its members in order, values as JSON text: so that members can stand twice and numbers can be odd. */
export type Members = readonly (readonly [name: string, json: string])[]

/** The payload text of a claims set. */
export function payloadOf(members: Members): string {
  return `{${members.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`
}

/** Second at which all of it is judged. */
export const NOW_SECONDS = 1_790_000_000
export const TOLERANCE_SECONDS = 60

const SUBJECT = 'user-1'

const FOREIGN_ISSUER = 'https://idp.partner.example'

const GOOD_NAMES = [
  SUBJECT,
  'admin-1',
  'client-1',
  'agent-7',
  'CORP ops-bot',
  'José',
  'Jose\u0301',
  '\u{1f600}',
  '__proto__',
  'constructor',
]
const LONG_NAMES = ['x'.repeat(1024), '\u{1f600}'.repeat(512)]
const BAD_NAMES = [
  ...[
    '',
    ' ',
    ' admin-1',
    'admin-1 ',
    'admin\u00a0',
    'ad\u2003min',
    'admin\u0000-1',
    'a\u001b[2Kroot',
    'a\r\nX-Admin: 1',
    '\u007f',
    'a\u0085b',
  ],
  ...[
    '\u202eresu',
    'ad\u200bmin',
    '\ufeffadmin',
    'a\u2028b',
    'a\u2029b',
    'admin\ud800',
    '\udc00admin',
    'soft\u00adhyphen',
    'x'.repeat(1025),
  ],
]

const anyUnits = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 6 }).map((units) => String.fromCharCode(...units))

const goodName = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(...GOOD_NAMES) },
  { weight: 1, arbitrary: fc.constantFrom(...LONG_NAMES) },
)

const name = fc.oneof(
  { weight: 10, arbitrary: goodName },
  { weight: 2, arbitrary: fc.constantFrom(...BAD_NAMES) },
  { weight: 1, arbitrary: anyUnits },
)

const PLAIN_VALUES: readonly JsonValue[] = [
  null,
  true,
  false,
  0,
  1,
  -1,
  1.5,
  '',
  'admin-1',
  [],
  {},
  ['admin-1'],
  [{ sub: 'admin-1' }],
  { iss: SUBJECT },
]

/** Any JSON value; objects may have members such as `__proto__`. */
const anyValue: fc.Arbitrary<JsonValue> = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom(...PLAIN_VALUES) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<JsonValue> },
)

const odd = <T extends JsonValue>(usual: fc.Arbitrary<T>): fc.Arbitrary<JsonValue> =>
  fc.oneof({ weight: 12, arbitrary: usual }, { weight: 1, arbitrary: anyValue })

const profile = odd(
  fc.constantFrom('ai_agent', 'user', 'AI_Agent user', 'user  user', 'native_app ', ' ', '', 'ai_agent\tuser', '\u212a'),
)

/** An object from members: unlike an object literal, it can own `__proto__`. */
function objectOf(members: readonly (readonly [string, JsonValue])[]): JsonValue {
  return Object.fromEntries(members)
}

/** A chain of well-formed actors, up to more than are allowed. */
function properChain(issuer: string): fc.Arbitrary<JsonValue> {
  const link = fc.tuple(goodName, fc.constantFrom(null, issuer, FOREIGN_ISSUER), fc.boolean())
  return fc
    .oneof(
      { weight: 4, arbitrary: fc.array(link, { minLength: 1, maxLength: 3 }) },
      { weight: 1, arbitrary: fc.array(link, { minLength: 4, maxLength: 10 }) },
    )
    .map((links) =>
      links.reduceRight<JsonValue>((inner, [sub, iss, client]) => {
        const members: [string, JsonValue][] = [['sub', sub]]
        if (iss !== null) members.push(['iss', iss])
        if (client) members.push(['client_id', 'client-1'])
        if (inner !== null) members.push(['act', inner])
        return objectOf(members)
      }, null),
    )
}

/** An actor that is nearly, or exactly, the subject itself. */
function nearlySelf(issuer: string): fc.Arbitrary<JsonValue> {
  const extra = fc.constantFrom<readonly [string, JsonValue]>(
    ['email', 'a@example.com'],
    ['name', 'Ann'],
    ['sub_profile', 'user'],
    ['sub_profile', 'ai_agent'],
    ['sub_profile', 'native_app'],
    ['sub_profile', 'user native_app'],
    ['client_id', 'client-1'],
    ['client_id', null as unknown as JsonValue],
    ['act', { sub: 'svc-2' }],
    ['act', { sub: SUBJECT, iss: issuer }],
    ['exp', 1],
    ['scope', 'admin:all'],
    ['__proto__', { client_id: 'client-1' }],
  )
  const iss = fc.constantFrom(issuer, issuer, issuer, issuer, FOREIGN_ISSUER, `${issuer}/`, null)
  return fc
    .tuple(iss, fc.array(extra, { maxLength: 1 }))
    .map(([stated, more]) => objectOf([['sub', SUBJECT], ...(stated === null ? [] : [['iss', stated] as const]), ...more]))
}

/** An object with the members of `act`, each of them present or not, usual or odd. */
function nearLink(issuer: string, depth: number): fc.Arbitrary<JsonValue> {
  const inner =
    depth === 0 ? anyValue : fc.oneof({ weight: 3, arbitrary: nearLink(issuer, depth - 1) }, { weight: 1, arbitrary: anyValue })
  const member = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.constant('iss'), odd(fc.oneof(fc.constantFrom(issuer, FOREIGN_ISSUER), name))) },
    { weight: 3, arbitrary: fc.tuple(fc.constantFrom('client_id', 'user_id'), odd(name)) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('sub_profile'), profile) },
    { weight: 3, arbitrary: fc.tuple(fc.constant('act'), inner) },
    { weight: 1, arbitrary: fc.tuple(fc.constantFrom('act_as', 'may_act', 'ext', 'impersonator'), inner) },
    {
      weight: 2,
      arbitrary: fc.tuple(fc.constantFrom('scope', 'roles', 'exp', 'aud', 'cnf', 'email', 'Sub', 'toString', ''), anyValue),
    },
    { weight: 1, arbitrary: fc.tuple(fc.constant('__proto__'), fc.oneof(fc.constant({ sub: 'admin-1' }), anyValue)) },
  )
  const sub = fc.option(odd(name), { freq: 8 })
  return fc
    .tuple(sub, fc.array(member as fc.Arbitrary<[string, JsonValue]>, { maxLength: 3 }))
    .map(([id, more]) => objectOf([...(id === null ? [] : [['sub', id] as const]), ...more]))
}

/** Any JSON value in the place of a party: mostly what looks like one. */
export function partyValue(issuer: string): fc.Arbitrary<JsonValue> {
  return fc.oneof(
    { weight: 5, arbitrary: nearLink(issuer, 2) },
    { weight: 3, arbitrary: nearlySelf(issuer) },
    { weight: 3, arbitrary: properChain(issuer) },
    { weight: 2, arbitrary: anyValue },
    { weight: 1, arbitrary: anyUnits },
  )
}

/** The members of a token that an issuer would give a direct caller. */
export function validMembers(dialect: OracleDialect): Members {
  const claims: Record<string, JsonValue> = {
    iss: dialect.issuer,
    aud: dialect.audience,
    sub: SUBJECT,
    client_id: 'client-1',
    scope: 'orders:read orders:write',
    iat: NOW_SECONDS - 60,
    exp: NOW_SECONDS + 540,
    jti: 'j-1',
    ...(dialect.purpose !== null && { purpose: dialect.purpose, delegationId: 'd-1' }),
  }
  return Object.entries(claims).map(([member, value]) => [member, JSON.stringify(value)])
}

const TIMES = [
  ...[-1, 0, 1].flatMap((around) =>
    [NOW_SECONDS, NOW_SECONDS - TOLERANCE_SECONDS, NOW_SECONDS + TOLERANCE_SECONDS].map((at) => `${at + around}`),
  ),
  ...[
    '1e400',
    '-1e400',
    '1.79e9',
    '0',
    '-0',
    '-1',
    `${NOW_SECONDS + 540}.5`,
    '9007199254740993',
    `"${NOW_SECONDS + 540}"`,
    'null',
    '[]',
  ],
]

const FLAT_MARKERS = MARKERS.filter((marker) => !marker.includes('.') && !['act', 'act_as'].includes(marker))

/** A claim that holds a party under a name that can mean delegation there. */
function within(value: fc.Arbitrary<JsonValue>): fc.Arbitrary<JsonValue> {
  const inner = MARKERS.filter((marker) => marker.startsWith('ext.')).map((marker) => marker.slice('ext.'.length))
  return fc.tuple(fc.constantFrom('act', ...inner, 'Act', 'actor'), value).map((member) => objectOf([member]))
}

const jsonText = (value: fc.Arbitrary<JsonValue>): fc.Arbitrary<string> => value.map((each) => JSON.stringify(each))

/** A member to put into, or in place of one in, a claims set. */
function editedMember(dialect: OracleDialect, issuers: readonly string[]): fc.Arbitrary<readonly [string, string]> {
  const { audience, issuer } = dialect
  const pair = (names: readonly string[], json: fc.Arbitrary<string>) => fc.tuple(fc.constantFrom(...names), json)
  return fc.oneof(
    { weight: 3, arbitrary: pair(['exp', 'nbf', 'iat'], fc.constantFrom(...TIMES)) },
    { weight: 2, arbitrary: pair(['sub', 'client_id', 'jti', 'delegationId'], jsonText(odd(name))) },
    { weight: 1, arbitrary: pair(['sub_profile'], jsonText(profile)) },
    {
      weight: 1,
      arbitrary: pair(
        ['aud'],
        jsonText(
          odd(
            fc.oneof(
              fc.constantFrom(audience, `${audience}/`),
              fc.array(odd(fc.oneof(fc.constant(audience), name)), { maxLength: 3 }),
            ),
          ),
        ),
      ),
    },
    { weight: 1, arbitrary: pair(['iss'], jsonText(odd(fc.constantFrom(...issuers, FOREIGN_ISSUER)))) },
    {
      weight: 1,
      arbitrary: pair(
        ['scope'],
        jsonText(odd(fc.constantFrom('', ' ', 'read  read', 'a*', 'bad\u0000scope', 'nbsp\u00a0scope'))),
      ),
    },
    { weight: 1, arbitrary: pair(['purpose', 'cnf', 'ext', 'roles', '__proto__', 'constructor', ''], jsonText(anyValue)) },
    { weight: 4, arbitrary: pair(['act', 'act', 'act_as', 'may_act'], jsonText(partyValue(issuer))) },
    { weight: 2, arbitrary: pair(['act', 'act_as'], jsonText(nearlySelf(issuer))) },
    { weight: 2, arbitrary: pair(['impersonator_user_id', 'impersonator_tenantid'], jsonText(odd(name))) },
    { weight: 2, arbitrary: pair(FLAT_MARKERS, jsonText(anyValue)) },
    { weight: 1, arbitrary: pair(['ext', '__proto__'], jsonText(within(partyValue(issuer)))) },
  )
}

/** Any claims set: some of members at random, most of them a valid one with up to three members changed, added, doubled or taken away. */
export function anyMembers(dialect: OracleDialect, issuers: readonly string[]): fc.Arbitrary<Members> {
  const valid = validMembers(dialect)
  const edited = editedMember(dialect, issuers)
  const edit = fc.tuple(
    fc.constantFrom(...(['put', 'put', 'put', 'put', 'put', 'put', 'put', 'double', 'drop'] as const)),
    edited,
    fc.constantFrom(...valid.map(([member]) => member)),
  )
  const nearlyValid = fc.array(edit, { maxLength: 3 }).map((edits) =>
    edits.reduce<Members>((members, [kind, [member, json], dropped]) => {
      if (kind === 'drop') return members.filter(([each]) => each !== dropped)
      const others = kind === 'double' ? members : members.filter(([each]) => each !== member)
      return others.concat([[member, json]])
    }, valid),
  )
  const key = fc.oneof(fc.constantFrom('act', 'sub', 'iss', '__proto__', 'may_act'), anyUnits)
  const atRandom = fc.array(fc.oneof(edited, fc.tuple(key, jsonText(anyValue))), { maxLength: 8 })
  return fc.oneof({ weight: 9, arbitrary: nearlyValid }, { weight: 1, arbitrary: atRandom })
}
