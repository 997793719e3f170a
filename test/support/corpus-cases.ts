import { readFileSync } from 'node:fs'
import type { JsonObject, JsonValue } from '@behalf/core'

/** A party as a case expects it; members that a case does not give are not judged. */
export interface ExpectedParty {
  /** `null`: named by a client id, or not named at all. */
  readonly sub: string | null
  readonly iss?: string | null
  readonly profile?: readonly string[]
  readonly type?: 'user' | 'client' | null
  readonly clientId?: string
  readonly tenantId?: string | null
  readonly unknown?: boolean
}

/** A claims set, and what must come of it. `README.md` beside the data says what each member means. */
export interface CorpusCase {
  readonly id: string
  readonly profile: string
  readonly header: JsonObject | null
  readonly claims: JsonValue
  readonly raw?: string
  readonly raw_fragment?: string
  readonly generator?: { readonly op: string; readonly depth: number; readonly sub: string }
  readonly presentation?: { readonly scheme?: string } & JsonObject
  readonly policy?: JsonObject
  readonly expected: {
    readonly outcome: 'accept' | 'reject'
    readonly kind?: string
    readonly kindAlternatives?: readonly string[]
    readonly subject?: ExpectedParty & JsonObject
    readonly actor?: ExpectedParty | null
    readonly chain?: readonly ExpectedParty[]
    readonly scopes?: readonly string[]
    readonly clientId?: string | null
    readonly mustNotGrant?: readonly string[]
    readonly status?: number
    readonly error?: string | null
    readonly reason?: string
    /** The exact code of the refusal, or several where a forgery can be made in several ways; only `own-cases.json` gives it. */
    readonly code?: string | readonly string[]
  }
  readonly why: string
}

export function readCases(file: string): readonly CorpusCase[] {
  return JSON.parse(readFileSync(new URL(`../corpus/${file}`, import.meta.url), 'utf8')) as CorpusCase[]
}

/** What a request may show beside a token's scheme: proofs and certificates. */
const PROOF = /proof|dpop|cert|mtls|tls|x5t/i

/**
 * Why a case cannot be judged here, by what it asks for; `null`: it must be judged.
 * @throws for a policy or presentation that nobody has thought of: it must not be passed over
 */
export function waitsFor({ id, policy = {}, presentation = {} }: CorpusCase): string | null {
  const shown = Object.keys(presentation).filter((name) => name !== 'scheme' && Boolean(presentation[name]))
  const unknown = [
    ...Object.keys(policy).filter((name) => !['allowActors', 'checkStatus', 'requireCompleteChain'].includes(name)),
    ...shown.filter((name) => !PROOF.test(name)),
  ]
  if (unknown.length > 0) throw new Error(`${id}: nothing is known of ${unknown}`)
  if (shown.length > 0) return 'shows more than a scheme, which this suite cannot: see test/standards/{dpop,mtls}.test.ts'
  return null
}
