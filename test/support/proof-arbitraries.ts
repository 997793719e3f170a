/** Hostile changes of requests with DPoP proofs, by the part that they change; some of them are harmless, and must stay so. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import {
  type Change,
  changeBytes,
  changeClaim,
  changeClaims,
  looseBits,
  setClaim,
  twist,
  VALUES,
  WHOLE,
  withMember,
} from './proof-changes.js'
import {
  athOf,
  CLIENT_KEYS,
  type Draft,
  goodDraft,
  NONCES,
  NOW_SECONDS,
  OTHER_KEYS,
  PLAIN,
  PROFILES,
  type Profile,
  type ProofKey,
  SEVERAL,
  type Twist,
  tokenFor,
} from './proof-draft.js'
import { claims, encodings, headers, signatures } from './proof-jws-arbitraries.js'
import { keys } from './proof-key-arbitraries.js'
import { absolute, hosts, methods, origins, paths } from './proof-uri-arbitraries.js'

/** Nonces that servers have given, or could have, for the generator of nonces. */
export type NonceStock = Readonly<Record<string, string>>

/** Around each place where the answer changes: how far from it, in seconds. */
const AROUND = [-300, -60, -5, -1, -0.5, -0.001, 0, 0.001, 0.5, 1, 5, 60, 300]

const clocks: fc.Arbitrary<Twist> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(fc.boolean(), fc.constantFrom(...AROUND)).map(([old, seconds]) =>
      changeClaims(
        `iat ${seconds} around ${old ? 'the end' : 'the start'}`,
        (members, _token, { profile: { toleranceSeconds } }) => {
          const edge = old ? NOW_SECONDS - 60 - toleranceSeconds : NOW_SECONDS + toleranceSeconds
          return withMember(members, 'iat', (edge + seconds).toFixed(3))
        },
      ),
    ),
  },
  fc.integer({ min: -1000, max: 1000 }).map((seconds) => setClaim('iat', String(WHOLE + seconds))),
  fc.maxSafeInteger().map((seconds) => setClaim('iat', String(seconds))),
)

const digest = (name: string, encoding: 'hex' | 'base64' | 'base64url') => (text: string) =>
  createHash(name).update(text).digest(encoding)

const TOKEN_HASHES: readonly Twist[] = [
  setClaim('ath', null),
  ...Object.entries<(ath: string, token: string) => string>({
    'of another token': () => athOf(tokenFor(null).text),
    padded: (ath) => `${ath}=`,
    'with loose bits': looseBits,
    'in base64': (_ath, token) => digest('sha256', 'base64')(token),
    'in hex': (_ath, token) => digest('sha256', 'hex')(token),
    'by SHA-512': (_ath, token) => digest('sha512', 'base64url')(token),
    'half of it': (ath) => ath.slice(0, 22),
    'by SHA-1': (_ath, token) => digest('sha1', 'base64url')(token),
    'with the scheme': (_ath, token) => athOf(`DPoP ${token}`),
    'of the payload': (_ath, token) => athOf(token.split('.')[1] ?? ''),
    'of the signing input': (_ath, token) => athOf(token.slice(0, token.lastIndexOf('.'))),
    'with a line feed': (_ath, token) => athOf(`${token}\n`),
    'of nothing': () => athOf(''),
    empty: () => '',
    'the token': (_ath, token) => token,
    'in upper case': (ath) => ath.toUpperCase(),
    'with a space': (ath) => ` ${ath}`,
    'the same': (ath) => ath,
  }).map(([name, change]) => changeClaim(name, 'ath', (ath, _draft, token) => change(ath, token))),
]

const tokenHashes: fc.Arbitrary<Twist> = fc.constantFrom(...TOKEN_HASHES)

function noncesOf(stock: NonceStock): fc.Arbitrary<Twist> {
  const given = Object.entries(stock)
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .constantFrom(...given)
        .map(([name, nonce]) => twist(`nonce ${name}`, setClaim('nonce', JSON.stringify(nonce)).apply)),
    },
    fc
      .tuple(
        fc.constantFrom(...given),
        fc.oneof(
          fc.constantFrom<Change<string>>(
            (nonce) => `${nonce}=`,
            looseBits,
            (nonce) => nonce.toUpperCase(),
            (nonce) => ` ${nonce}`,
            (nonce) => nonce.slice(1),
          ),
          fc.constantFrom<Change<string>>(
            (nonce) => `${nonce}AAAA`,
            (nonce) => nonce.slice(0, -1),
            () => '',
            (nonce) => `${nonce},${nonce}`,
          ),
          fc
            .tuple(fc.nat({ max: 21 }), fc.nat({ max: 7 }))
            .map(([at, bit]) =>
              changeBytes((bytes) => Buffer.from(bytes.map((byte, index) => (index === at ? byte ^ (1 << bit) : byte)))),
            ),
        ),
      )
      .map(([[name, nonce], change]) => twist(`nonce ${name}, forged`, setClaim('nonce', JSON.stringify(change(nonce))).apply)),
    fc.constantFrom(...VALUES, null).map((json) => setClaim('nonce', json)),
  )
}

type CnfOf = (jkt: string) => string

const CNFS: readonly CnfOf[] = [
  (jkt) => `{"jkt":"${jkt}"}`,
  (jkt) => `{"jkt":"${looseBits(jkt)}"}`,
  (jkt) => `{"jkt":"${jkt}="}`,
  (jkt) => `{"jkt":" ${jkt}"}`,
  (jkt) => `{"jkt":"${Buffer.from(jkt, 'base64url').toString('hex')}"}`,
  (jkt) => `{"jkt":"${Buffer.from(jkt, 'base64url').toString('base64')}"}`,
  (jkt) => `{"jkt":"${jkt.toUpperCase()}"}`,
  (jkt) => `{"jkt":"${jkt.slice(1)}"}`,
  (jkt) => `{"jkt":["${jkt}"]}`,
  (jkt) => `{"jkt":{"sha-256":"${jkt}"}}`,
  (jkt) => `{"JKT":"${jkt}"}`,
  (jkt) => `{"jkt":"${jkt}","x5t#S256":"${jkt}"}`,
  (jkt) => `{"jkt":"${jkt}","x5t#S256":null}`,
  (jkt) => `{"jkt":"${jkt}","kid":"x"}`,
  (jkt) => `{"jkt":"${jkt}","jwk":{}}`,
  (jkt) => `{"jkt":"${jkt}","":1}`,
  (jkt) => `{"jkt":"${jkt}","__proto__":{"jkt":"x"}}`,
  (jkt) => `{"__proto__":{"jkt":"${jkt}"}}`,
  (jkt) => `{"\\u006akt":"${jkt}"}`,
  (jkt) => `{"x5t#S256":"${jkt}"}`,
  (jkt) => `["${jkt}"]`,
  (jkt) => `[{"jkt":"${jkt}"}]`,
  (jkt) => `"${jkt}"`,
  ...[
    '{}',
    'null',
    '[]',
    '""',
    '"x"',
    '0',
    'false',
    'true',
    '{"jkt":null}',
    '{"jkt":""}',
    '{"jkt":1}',
    '{"jwk":{}}',
    '{"kid":"x"}',
  ].map((json) => () => json),
]

const confirmations: fc.Arbitrary<Twist> = fc
  .tuple(fc.constantFrom(...CNFS), fc.constantFrom('own', 'other'), fc.constantFrom('DPoP', 'DPoP', 'DPoP', 'Bearer'))
  .map(([cnf, whose, scheme]) =>
    twist(`cnf ${cnf('…')}, ${whose}, ${scheme}`, (draft) => {
      const key = whose === 'own' ? draft.key : OTHER_KEYS[0]
      return {
        ...draft,
        bound: { cnfJson: cnf(thumbprintText(key ?? draft.key)) },
        authorization: (token) => [`${scheme} ${token}`],
      }
    }),
  )

/** RFC 7638 3.1, of keys that are ours. */
function thumbprintText({ jwk }: ProofKey): string {
  const { crv, kty, x, y, e, n } = jwk
  const members = kty === 'RSA' ? { e, kty, n } : kty === 'EC' ? { crv, kty, x, y } : { crv, kty, x }
  return athOf(JSON.stringify(members))
}

const CREDENTIALS: readonly ((token: string) => readonly string[])[] = [
  ...['DPoP', 'dpop', 'DPOP', 'dPoP', 'Bearer', 'bearer', 'BEARER'].flatMap((scheme) => [
    (token: string) => [`${scheme} ${token}`],
    (token: string) => [`${scheme}   ${token}`],
  ]),
  () => [],
  (token) => [`DPoP ${token}`, `DPoP ${token}`],
  (token) => [`DPoP ${token}`, `Bearer ${token}`],
  (token) => [`Bearer ${token}`, `DPoP ${token}`],
  (token) => [`DPoP ${token}, Bearer ${token}`],
  (token) => [`DPoP Bearer ${token}`],
  (token) => [`DPoP, Bearer ${token}`],
  (token) => [`DPoP\t${token}`],
  (token) => [`DPoP\u00a0${token}`],
  (token) => [`DPoP${token}`],
  (token) => [`DPoP ${token} `],
  (token) => [` DPoP ${token}`],
  (token) => [`DPoP "${token}"`],
  (token) => [`DPoP token="${token}"`],
  (token) => [`DPoP ${token}=`],
  (token) => [`DPoP ${token}.`],
  (token) => [`Basic ${token}`],
  (token) => [`DPoP+JWT ${token}`],
  (token) => [`DPoPs ${token}`],
  (token) => [`Token ${token}`],
  (token) => [token],
  () => ['DPoP'],
  () => ['DPoP '],
  () => ['DPoP x'],
  () => ['DPoP a.b.c'],
  () => [''],
]

const schemes: fc.Arbitrary<Twist> = fc.tuple(fc.constantFrom(...CREDENTIALS), fc.boolean()).map(([authorization, bound]) =>
  twist(`Authorization ${authorization('…').join(' | ')}`, (draft) => ({
    ...draft,
    authorization,
    ...(!bound && { bound: null }),
  })),
)

/** Changes by the part that they change. */
export function twistsBy(stock: NonceStock): Readonly<Record<Family, fc.Arbitrary<Twist>>> {
  return {
    headers,
    keys,
    claims,
    encodings,
    signatures,
    clocks,
    methods,
    'htu origins': origins,
    'paths and targets': paths,
    'absolute targets': absolute,
    hosts,
    ath: tokenHashes,
    nonces: noncesOf(stock),
    cnf: confirmations,
    schemes,
  }
}

/** Parts of a request that are changed. */
export type Family = (typeof FAMILIES)[number]

export const FAMILIES = [
  ...(['headers', 'keys', 'claims', 'encodings', 'signatures', 'clocks', 'methods', 'htu origins', 'paths and targets'] as const),
  ...(['absolute targets', 'hosts', 'ath', 'nonces', 'cnf', 'schemes'] as const),
]

/** The servers that a part is best judged on. */
const SERVERS: Readonly<Partial<Record<Family, readonly Profile[]>>> = {
  'htu origins': [PLAIN, SEVERAL],
  'absolute targets': [PLAIN, SEVERAL],
  hosts: [SEVERAL, SEVERAL, PLAIN],
  nonces: [NONCES, NONCES, NONCES, PLAIN],
}

/** A good request; what it holds beside that is chosen for the changes of a family. */
export function goodDrafts(
  family: Family | null,
  stock: NonceStock,
  profiles: readonly Profile[] = (family === null ? undefined : SERVERS[family]) ?? PROFILES,
): fc.Arbitrary<() => Draft> {
  // RSA and the larger curves take long to sign.
  const quick = fc.constantFrom(...CLIENT_KEYS.slice(0, 3))
  const anyKey = fc.constantFrom(...CLIENT_KEYS)
  const key =
    family === 'keys' || family === 'signatures' || family === 'headers'
      ? fc.oneof(quick, anyKey)
      : fc.oneof({ weight: 9, arbitrary: quick }, anyKey)
  return fc
    .record({
      profile: fc.constantFrom(...profiles),
      key,
      method: fc.constantFrom('GET', 'POST', 'DELETE'),
      target: fc.constantFrom('/', '/orders', '/orders/7?q=1', '/a//b/', '/caf%C3%A9'),
      origin: fc.nat({ max: 4 }),
    })
    .map(({ profile, key: signer, method, target, origin }) => () => {
      const draft = goodDraft(profile, signer, method, target, origin)
      return profile.nonces ? setClaim('nonce', JSON.stringify(stock['of now'])).apply(draft) : draft
    })
}
