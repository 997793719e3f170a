import { createHmac, createPublicKey, type JsonWebKey } from 'node:crypto'
import type { Algorithm, JsonObject, JwkSet } from '@behalf/core'
import { createSigningKey, type SigningKey, signCompact, signText } from '@behalf/testing'
import type { CorpusCase } from './corpus-cases.js'

/** Every case's issuer has these keys. They share one id: their types tell them apart. */
const KEYS: ReadonlyMap<string, SigningKey> = new Map(
  (['RS256', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const).map((name) => [name, createSigningKey(name, { kid: 'k1' })]),
)

/** The issuer's key set. */
export const corpusJwks: JwkSet = { keys: [...KEYS.values()].map((key) => key.jwk) }

/** Header members that carry or locate a key. */
const KEY_MEMBERS = ['jwk', 'jku', 'x5u', 'x5c']

/**
 * The tokens of a case, all with the same outcome: one, or as many as there are ways to forge it.
 * @param jkt thumbprint of the key that they are bound to beside all else
 */
export function tokensOf(each: CorpusCase, attacker: Attacker, jkt: string | null = null): readonly string[] {
  const header = each.header ?? {}
  const payload = claimsTextOf(each, jkt)
  if (KEY_MEMBERS.some((name) => header[name] !== undefined)) {
    return headersOf(header, attacker).map((forged) => signCompact(forged, payload, attacker.key))
  }
  const { alg } = header
  const key = KEYS.get(String(alg))
  if (key !== undefined) return [signCompact(header, payload, key)]
  const input = [JSON.stringify(header), payload].map((part) => Buffer.from(part).toString('base64url')).join('.')
  return signaturesOf(String(alg), input).map((signature) => `${input}.${signature}`)
}

/**
 * The claims of a case as their exact text.
 * @param jkt thumbprint of the key that they are bound to beside all else
 */
export function claimsTextOf(each: CorpusCase, jkt: string | null = null): string {
  return jkt === null ? payloadOf(each) : boundTo(jkt, payloadOf(each))
}

/** Whoever forges tokens with a key of their own, and where they show it. */
export interface Attacker {
  readonly key: SigningKey
  readonly jwksUri: string
}

/** The header as it is, and with the attacker's own key in place of the sample, so that trusting it would work. */
function headersOf(header: JsonObject, { key, jwksUri }: Attacker): readonly JsonObject[] {
  const own: JsonObject = { jwk: key.jwk, jku: jwksUri, x5u: jwksUri }
  const swapped = Object.entries(header).map(([name, value]) => [name, own[name] ?? value] as const)
  return [header, Object.fromEntries(swapped)]
}

/** Signatures for an algorithm that no key of the issuer has: none, garbage, a good one of another algorithm, or an HMAC by public text. */
function signaturesOf(alg: string, input: string): readonly string[] {
  const rsa = KEYS.get('RS256') as SigningKey
  const good = signText(input, 'RS256' as Algorithm, rsa.privateKey).toString('base64url')
  const hmac = /^HS(256|384|512)$/.exec(alg)?.[1]
  if (hmac === undefined) return ['', 'AAAA', good]
  const pem = String(createPublicKey({ key: rsa.jwk as JsonWebKey, format: 'jwk' }).export({ type: 'spki', format: 'pem' }))
  return [pem, pem.trimEnd(), JSON.stringify(rsa.jwk)].map((secret) =>
    createHmac(`sha${hmac}`, secret).update(input).digest('base64url'),
  )
}

function payloadOf({ id, claims, raw, raw_fragment: fragment, generator }: CorpusCase): string {
  if (raw !== undefined) return raw
  if (fragment === undefined && generator === undefined) return JSON.stringify(claims)
  if (generator !== undefined && generator.op !== 'nest_act') throw new Error(`${id}: no generator "${generator.op}"`)
  const exact = fragment ?? nestedAct(generator as NonNullable<typeof generator>)
  const [name = ''] = /(?<=^")[^"]+/.exec(exact) ?? []
  const others = { ...(claims as JsonObject), [name]: undefined }
  return `${JSON.stringify(others).slice(0, -1)},${exact}}`
}

/** The payload with a `cnf` at its end. One that is no object stays what it is. */
function boundTo(jkt: string, payload: string): string {
  const end = payload.lastIndexOf('}')
  const cnf = `"cnf":${JSON.stringify({ jkt })}}`
  return /^\s*\{/.test(payload) && end > 0
    ? `${payload.slice(0, end)}${/\{\s*$/.test(payload.slice(0, end)) ? '' : ','}${cnf}${payload.slice(end + 1)}`
    : payload
}

/** Text of a chain of actors; nothing recursive could write one of 20,000. */
function nestedAct({ depth, sub }: { readonly depth: number; readonly sub: string }): string {
  let text = ''
  for (let level = 1; level <= depth; level++) {
    text += `${level === 1 ? '' : ','}"act":{"sub":${JSON.stringify(sub.replace('{i}', String(level)))}`
  }
  return text + '}'.repeat(depth)
}
