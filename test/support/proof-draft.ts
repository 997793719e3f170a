/** A request with a DPoP proof, as a plan that can be changed in any place before it is written down and signed. */
import { constants, createHash, createHmac, generateKeyPairSync, type JsonWebKey, type KeyObject, sign } from 'node:crypto'
import { createSigningKey, type SigningKey, signText } from '@behalf/testing'
import { KNOWN_ALGORITHMS, thumbprintOf } from './proof-key-oracle.js'
import type { OracleRequest, OracleServer, OracleToken } from './proof-oracle.js'

/** The world's time: half a second past, so that whole and broken seconds differ. */
export const NOW_MILLISECONDS = 1_790_000_000_500
export const NOW_SECONDS: number = NOW_MILLISECONDS / 1000

export const ISSUER = 'https://as.example.com'
export const AUDIENCE = 'https://api.example.com'

/** A key of a client, which signs whatever it is asked to. */
export interface ProofKey {
  readonly alg: string
  /** Its public members, and nothing else. */
  readonly jwk: JsonWebKey
  /** All of its members. */
  readonly privateJwk: JsonWebKey
  readonly privateKey: KeyObject
}

type Pair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject }

function proofKey(alg: string, { publicKey, privateKey }: Pair): ProofKey {
  const [jwk, privateJwk] = [publicKey.export({ format: 'jwk' }), privateKey.export({ format: 'jwk' })]
  return { alg, jwk, privateJwk, privateKey }
}

const ec = (namedCurve: string): Pair => generateKeyPairSync('ec', { namedCurve })
const rsaPair = generateKeyPairSync('rsa', { modulusLength: 2048 })

/** A client's own key by each algorithm; those that are quick come first. */
export const CLIENT_KEYS: readonly ProofKey[] = [
  proofKey('ES256', ec('P-256')),
  proofKey('EdDSA', generateKeyPairSync('ed25519')),
  proofKey('Ed25519', generateKeyPairSync('ed25519')),
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map((alg) => proofKey(alg, rsaPair)),
  proofKey('ES384', ec('P-384')),
  proofKey('ES512', ec('P-521')),
]

/** Keys of somebody else, one of each kind. */
export const OTHER_KEYS: readonly ProofKey[] = [
  proofKey('ES256', ec('P-256')),
  proofKey('EdDSA', generateKeyPairSync('ed25519')),
  proofKey('ES384', ec('P-384')),
]

/** Keys that no proof may show. */
export const STRANGE_KEYS: readonly ProofKey[] = [
  proofKey('ES256K', ec('secp256k1')),
  proofKey('ES256', ec('secp256k1')),
  proofKey('EdDSA', generateKeyPairSync('ed448')),
  proofKey('Ed448', generateKeyPairSync('ed448')),
  proofKey('RS256', generateKeyPairSync('rsa', { modulusLength: 1024 })),
  proofKey('PS256', generateKeyPairSync('rsa', { modulusLength: 1024 })),
  proofKey('ES256', ec('P-384')),
  proofKey('ES384', ec('P-256')),
  { ...proofKey('EdDSA', generateKeyPairSync('x25519')), privateKey: generateKeyPairSync('ed25519').privateKey },
]

/** A signature by what `alg` says, as far as the key can do it; anything else where it cannot. */
export function signatureBy(alg: string, key: ProofKey, input: string): Buffer {
  const data = Buffer.from(input, 'latin1')
  if (alg.startsWith('HS'))
    return createHmac('sha256', Buffer.from(JSON.stringify(key.jwk)))
      .update(data)
      .digest()
  try {
    return signBy(alg, key.privateKey, data)
  } catch {
    return Buffer.alloc(64) // a key that is too short for the algorithm
  }
}

function signBy(alg: string, privateKey: KeyObject, data: Buffer): Buffer {
  const { asymmetricKeyType: type } = privateKey
  if (type !== 'rsa' && type !== 'ec') return sign(null, data, privateKey)
  const [, bits = '256'] = /^[A-Z]S(256|384|512)/.exec(alg) ?? []
  const pss = alg.startsWith('PS') && { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  return sign(`sha${bits}`, data, { key: privateKey, dsaEncoding: 'ieee-p1363', ...(type === 'rsa' && pss) })
}

/** A server, and how requests come to it. */
export interface Profile extends Omit<OracleServer, 'isNonce'> {
  /** As the option `publicOrigins` has them, in the order of `origins`. */
  readonly publicOrigins: readonly string[]
  readonly trustedProxies: readonly string[]
  readonly nonces: boolean
}

const ORIGIN = 'https://api.example.com'

function profile(name: string, own: Partial<Profile> = {}): Profile {
  const { origins = [ORIGIN] } = own
  return {
    name,
    origins,
    publicOrigins: origins,
    trustedProxies: [],
    toleranceSeconds: 5,
    algorithms: KNOWN_ALGORITHMS,
    nonces: false,
    ...own,
  }
}

export const PLAIN: Profile = profile('plain')
export const SEVERAL: Profile = profile('several origins', {
  origins: [
    ORIGIN,
    'https://api.example.com:8443',
    'http://127.0.0.1:3000',
    'https://[2001:db8:0:0:0:0:0:1]:444',
    'https://xn--bcher-kva.example',
  ],
  publicOrigins: [
    `${ORIGIN}:443/`,
    'https://API.example.com:8443',
    'http://127.0.0.1:3000',
    'https://[2001:DB8::1]:444',
    'https://bücher.example',
  ],
  trustedProxies: ['10.0.0.0/8', 'fd00::/8'],
})
export const NONCES: Profile = profile('nonces', { nonces: true })
export const PROFILES: readonly Profile[] = [
  PLAIN,
  profile('no tolerance', { toleranceSeconds: 0 }),
  profile('large tolerance', { toleranceSeconds: 300 }),
  profile('few algorithms', { algorithms: ['ES256', 'EdDSA'] }),
  SEVERAL,
  NONCES,
]

/** Members of a JSON object as they are written: names may repeat. */
export type Members = readonly (readonly [name: string, json: string])[]

/** The plan of a request. Texts named `…Json` are JSON, or what passes for it. */
export interface Draft {
  readonly profile: Profile
  readonly key: ProofKey
  /** Signs in its place. */
  readonly signer: ProofKey
  /** What the token is bound to: the key that the header shows, the client's key, or a `cnf` as JSON; `null`: nothing. */
  readonly bound: 'shown' | 'own' | { readonly cnfJson: string } | null
  readonly header: Members
  /** Made when the token is known: members can be about it. */
  readonly claims: (token: string) => Members
  readonly method: string
  readonly target: string
  readonly host: string | null
  readonly peer: string
  readonly forwarded: Members
  /** Changes the bytes of header and payload before they are encoded. */
  readonly headerBytes: (json: string) => Buffer
  readonly payloadBytes: (json: string) => Buffer
  readonly signature: (signature: Buffer, input: string) => Buffer
  /** Changes the proof as it is written. */
  readonly written: (proof: string) => string
  /** Lines of the two fields. */
  readonly dpop: (proof: string) => readonly string[]
  readonly authorization: (token: string) => readonly string[]
}

/** A change of a draft. */
export interface Twist {
  readonly name: string
  readonly apply: (draft: Draft) => Draft
}

/** A request, ready to be sent, and what the oracle has to know of it. */
export interface ProofCase {
  readonly profile: Profile
  readonly request: OracleRequest
  readonly token: OracleToken
  readonly peer: string
  readonly forwarded: Members
  /** What must not be found in any answer. */
  readonly secrets: readonly string[]
}

let made = 0

/** A good request from a client to one of a server's origins. */
export function goodDraft(profile: Profile, key: ProofKey, method: string, target: string, originIndex: number): Draft {
  const origin = profile.origins[originIndex % profile.origins.length] ?? ORIGIN
  const id = made++
  return {
    profile,
    key,
    signer: key,
    bound: 'shown',
    header: [
      ['typ', '"dpop+jwt"'],
      ['alg', JSON.stringify(key.alg)],
      ['jwk', JSON.stringify(key.jwk)],
    ],
    claims: (token) => [
      ['jti', JSON.stringify(`proof-id-${id}`)],
      ['htm', JSON.stringify(method)],
      ['htu', JSON.stringify(origin + target.split('?', 1)[0])],
      ['iat', String(Math.floor(NOW_SECONDS))],
      ['ath', JSON.stringify(athOf(token))],
    ],
    method,
    target,
    host: origin.slice(origin.indexOf('//') + 2),
    peer: '192.0.2.1',
    forwarded: [],
    headerBytes: (json) => Buffer.from(json),
    payloadBytes: (json) => Buffer.from(json),
    signature: (signature) => signature,
    written: (proof) => proof,
    dpop: (proof) => [proof],
    authorization: (token) => [`DPoP ${token}`],
  }
}

export function athOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

/** Writes and signs a draft. */
export function makeCase(draft: Draft): ProofCase {
  const { profile, method, target, host, peer, forwarded } = draft
  const token = tokenFor(cnfOf(draft))
  const header = draft.headerBytes(objectOf(draft.header)).toString('base64url')
  const payload = draft.payloadBytes(objectOf(draft.claims(token.text))).toString('base64url')
  const input = `${header}.${payload}`
  const signature = draft.signature(signatureBy(algOf(draft), draft.signer, input), input).toString('base64url')
  const proof = draft.written(`${input}.${signature}`)
  const request = {
    method,
    target,
    host,
    forwardedHost: isTrusted(profile, peer) ? forwardedHostOf(forwarded) : null,
    authorization: draft.authorization(token.text),
    dpop: draft.dpop(proof),
  }
  return {
    profile,
    request,
    token,
    peer,
    forwarded,
    secrets: [...proof.split('.'), token.text].filter((part) => part.length > 30),
  }
}

function objectOf(members: Members): string {
  return `{${members.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`
}

function algOf({ header, signer }: Draft): string {
  const json = header.find(([name]) => name === 'alg')?.[1]
  return json === undefined || !/^"[A-Z]S\d{3}"$/.test(json) ? signer.alg : JSON.parse(json)
}

function cnfOf({ bound, header, key }: Draft): string | null {
  if (bound === null) return null
  if (typeof bound === 'object') return bound.cnfJson
  const shown = bound === 'shown' ? shownThumbprint(header) : null
  return JSON.stringify({ jkt: shown ?? thumbprintOf(key.jwk) })
}

function shownThumbprint(header: Members): string | null {
  try {
    return thumbprintOf(JSON.parse(header.find(([name]) => name === 'jwk')?.[1] ?? 'null'))
  } catch {
    return null
  }
}

/** The issuer's key. */
export const ISSUER_KEY: SigningKey = createSigningKey('EdDSA', { kid: 'key-1' })

const tokens = new Map<string | null, OracleToken>()

/** A token that is bound as a `cnf` says; the same one each time. */
export function tokenFor(cnfJson: string | null): OracleToken {
  const known = tokens.get(cnfJson)
  if (known !== undefined) return known
  const encoded = (json: string) => Buffer.from(json).toString('base64url')
  const claims = {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'user-1',
    client_id: 'client-1',
    iat: Math.floor(NOW_SECONDS) - 3600,
    exp: Math.floor(NOW_SECONDS) + 10_000_000,
    jti: `token-${tokens.size}`,
  }
  const json = JSON.stringify(claims)
  const payload = cnfJson === null ? json : `${json.slice(0, -1)},"cnf":${cnfJson}}`
  const input = `${encoded(JSON.stringify({ alg: ISSUER_KEY.algorithm, typ: 'at+jwt', kid: ISSUER_KEY.kid }))}.${encoded(payload)}`
  const text = `${input}.${signText(input, ISSUER_KEY.algorithm, ISSUER_KEY.privateKey).toString('base64url')}`
  const token = { text, cnf: cnfJson === null ? undefined : JSON.parse(cnfJson) }
  tokens.set(cnfJson, token)
  return token
}

function isTrusted({ trustedProxies }: Profile, peer: string): boolean {
  return trustedProxies.length > 0 && (peer.startsWith('10.') || peer.startsWith('fd00:') || peer.startsWith('::ffff:10.'))
}

/** The last host of `Forwarded` (RFC 7239 4), else of `X-Forwarded-Host`. */
function forwardedHostOf(forwarded: Members): string | null {
  const value = (name: string) =>
    forwarded
      .find(([field]) => field === name)?.[1]
      .split(',')
      .at(-1)
      ?.trim()
  const pairs = value('forwarded')
    ?.split(';')
    .map((pair) => pair.trim().split('='))
  const host = pairs?.find(([name]) => name?.toLowerCase() === 'host')?.[1]
  const [one, other] = [host?.replace(/^"(.*)"$/, '$1'), value('x-forwarded-host')]
  // A proxy writes one of them, or both alike: where they differ, one is somebody else's.
  return one === undefined || other === undefined || one.toLowerCase() === other.toLowerCase() ? (one ?? other ?? null) : ''
}
