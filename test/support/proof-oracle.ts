/**
 * Whether a request with a DPoP proof has to be let in, written from RFC 9449 4.3, 7.1 and 7.2: every rule is asked, and every one that
 * is broken names the refusal that says so. Code of its own throughout; keys and signatures: proof-key-oracle.ts, URIs: proof-uri-oracle.ts.
 */
import { createHash } from 'node:crypto'
import type { RefusalCode } from '@behalf/core'
import { isStrictJson } from './json-oracle.js'
import { fromBase64url, isProofKey, signatureHolds, thumbprintOf } from './proof-key-oracle.js'
import { type SentTo, sameTarget, targetUriOf } from './proof-uri-oracle.js'

/** What a server is configured with, as far as proofs are concerned. */
export interface OracleServer {
  readonly name: string
  /** In the normal form of proof-uri-oracle.ts. */
  readonly origins: readonly string[]
  readonly toleranceSeconds: number
  readonly algorithms: readonly string[]
  /** Whether a nonce is one that the server has given, and that is still good; `null`: it gives none. */
  readonly isNonce: ((nonce: string) => boolean) | null
}

/** A request, as it comes over the wire. */
export interface OracleRequest extends SentTo {
  readonly method: string
  /** Lines of the `Authorization` field. */
  readonly authorization: readonly string[]
  /** Lines of the `DPoP` field. */
  readonly dpop: readonly string[]
}

/** The token that the request should present: one that holds, whatever it is bound to. */
export interface OracleToken {
  readonly text: string
  /** Its claim `cnf`; `undefined`: it has none. */
  readonly cnf: unknown
}

/** What must come of a request. */
export interface Verdict {
  /** `either`: no rule says so or otherwise. */
  readonly outcome: 'accept' | 'refuse' | 'either'
  /** Every refusal that says the truth; empty where it must be accepted. */
  readonly codes: ReadonlySet<RefusalCode>
  /** What an accepted proof uses up; `null`: nothing. */
  readonly use: string | null
}

const PROOF_SECONDS = 60
const PROOF_BYTES = 8 * 1024
const JSON_DEPTH = 32

type Claims = Readonly<Record<string, unknown>>

/** Tells what must come of requests, and remembers which proofs were used. */
export class ProofOracle {
  readonly #nowSeconds: number
  readonly #used = new Set<string>()

  constructor(nowSeconds: number) {
    this.#nowSeconds = nowSeconds
  }

  /** Takes note of a proof that was let in. */
  use(verdict: Verdict): void {
    if (verdict.use !== null) this.#used.add(verdict.use)
  }

  async foresee(server: OracleServer, request: OracleRequest, token: OracleToken): Promise<Verdict> {
    const scheme = schemeOf(request.authorization, token.text)
    if (typeof scheme !== 'string') return refusal(scheme)
    const jkt = confirmedKey(token.cnf)
    if (jkt === 'unsupported') return refusal(['binding_unsupported'])
    if (scheme === 'bearer')
      return jkt === null ? { outcome: 'accept', codes: new Set(), use: null } : refusal(['sender_mismatch'])
    if (jkt === null) return refusal(['sender_mismatch'])
    return this.#judgeProof(server, request, token.text, jkt)
  }

  async #judgeProof(server: OracleServer, request: OracleRequest, token: string, jkt: string): Promise<Verdict> {
    const broken = new Set<RefusalCode>()
    const [line, ...more] = request.dpop
    if (line === undefined) return refusal(['proof_missing']) // 4.3, 1
    const jws = more.length === 0 ? readJws(line) : null // 4.3, 1 and 2
    if (jws === null) return refusal(['proof_malformed'])
    const { header, claims } = jws
    const { jti, htm, htu, iat, ath } = claims
    const isWhole = [jti, htm, htu, ath].every((claim) => typeof claim === 'string') && jti !== '' && typeof iat === 'number'
    if (!isWhole || header['typ'] !== 'dpop+jwt' || Object.hasOwn(header, 'crit')) broken.add('proof_malformed') // 4.3, 3 and 4
    const { alg, jwk } = header
    const thumbprint = thumbprintOf(jwk)
    if (thumbprint !== jkt) broken.add('sender_mismatch') // 4.3, 12
    if (typeof alg !== 'string' || !server.algorithms.includes(alg))
      broken.add('proof_algorithm_refused') // 4.3, 5
    else if (!isProofKey(jwk, alg))
      broken.add('proof_key_refused') // 4.3, 7
    else if (!(await signatureHolds(jwk, alg, jws.input, jws.signature))) broken.add('proof_signature_invalid') // 4.3, 6
    if (!isWhole) return refusal(broken)
    if (htm !== request.method) broken.add('proof_method_mismatch') // 4.3, 8
    const sameness = sameTarget(String(htu), server.origins, request)
    if (sameness === 'different') broken.add('proof_target_mismatch') // 4.3, 9
    this.#judgeTime(server, Number(iat), broken)
    if (ath !== createHash('sha256').update(token, 'latin1').digest('base64url')) broken.add('proof_token_mismatch') // 4.3, 12
    const { nonce } = claims
    if (server.isNonce !== null && !(typeof nonce === 'string' && server.isNonce(nonce))) broken.add('proof_nonce_required') // 4.3, 10
    const use = JSON.stringify([server.name, thumbprint, targetUriOf(server.origins, request), jti])
    if (this.#used.has(use)) broken.add('proof_replayed') // 11.1
    const outcome = broken.size > 0 ? 'refuse' : sameness === 'either' ? 'either' : 'accept'
    if (sameness === 'either') broken.add('proof_target_mismatch')
    return { outcome, codes: broken, use: outcome === 'refuse' ? null : use }
  }

  /** 4.3, 11: how long is for the server to say. Its clock has thousandths of seconds, and so have the claims that are judged here. */
  #judgeTime({ toleranceSeconds }: OracleServer, iat: number, broken: Set<RefusalCode>): void {
    const age = this.#nowSeconds - iat
    if (age >= PROOF_SECONDS + toleranceSeconds) broken.add('proof_expired')
    if (age < -toleranceSeconds) broken.add('proof_not_yet_valid')
  }
}

function refusal(codes: Iterable<RefusalCode>): Verdict {
  return { outcome: 'refuse', codes: new Set(codes), use: null }
}

/** RFC 9110 11.4 and 11.6.2: one line, a scheme in any case, spaces, and what RFC 6750 2.1 and RFC 9449 7.1 call a token. */
function schemeOf(lines: readonly string[], token: string): 'dpop' | 'bearer' | readonly RefusalCode[] {
  const [line, ...more] = lines
  if (line === undefined) return ['credentials_missing']
  if (more.length > 0) return ['request_ambiguous']
  const space = line.indexOf(' ')
  const scheme = (space === -1 ? line : line.slice(0, space)).toLowerCase()
  const rest = space === -1 ? '' : line.slice(space).replace(/^ +/, '')
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(scheme)) return ['credentials_malformed']
  if (scheme !== 'dpop' && scheme !== 'bearer') return ['credentials_missing']
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(rest)) return ['credentials_malformed']
  return rest === token ? scheme : ['token_malformed', 'signature_invalid', 'issuer_unknown', 'algorithm_refused', 'key_unknown']
}

/**
 * The key that a token is bound to (RFC 7800 3.1, RFC 9449 6.1); anything that is not understood is not supported. A member `__proto__`
 * is no member: claims are read without it.
 */
function confirmedKey(cnf: unknown): string | null | 'unsupported' {
  if (cnf === undefined) return null
  if (typeof cnf !== 'object' || cnf === null || Array.isArray(cnf)) return 'unsupported'
  const { jkt, ['__proto__']: _, ...others } = cnf as Claims
  return fromBase64url(jkt)?.length === 32 && Object.keys(others).length === 0 ? String(jkt) : 'unsupported'
}

interface Jws {
  readonly header: Claims
  readonly claims: Claims
  readonly input: string
  readonly signature: Uint8Array<ArrayBuffer>
}

/** RFC 7515 7.1 and RFC 7519 7.2. Duplicate members are refused, as RFC 7519 4 allows. */
function readJws(text: string): Jws | null {
  const parts = text.split('.')
  if (text.length > PROOF_BYTES || parts.length !== 3 || parts.includes('')) return null
  const [first = '', second = '', third = ''] = parts
  const [header, claims, signature] = [readObject(first), readObject(second), fromBase64url(third)]
  return header && claims && signature && { header, claims, input: `${first}.${second}`, signature }
}

function readObject(part: string): Claims | null {
  const bytes = fromBase64url(part)
  if (bytes === null) return null
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return null
  }
  if (!isStrictJson(text, JSON_DEPTH)) return null
  const value: unknown = JSON.parse(text)
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : null
}
