import { type AuthContext, AuthError, createResourceServer, type IssuerOptions } from '@behalf/core'

/** What became of a token's signature. */
export type SignatureState = 'holds' | 'does_not_hold' | 'not_checked' | 'not_checkable'

/** A token held against the keys that were named. */
export interface Proof {
  readonly signature: SignatureState
  /** `null` where it was refused. */
  readonly context: AuthContext | null
  /** Why it was refused; `null` where it was not. */
  readonly refusal: AuthError | null
}

/** A person waits longer than a request, and makes only one. */
const PATIENCE = { fetchHeadersMilliseconds: 10_000, fetchTotalMilliseconds: 15_000 }

/** Refusals that come before the signature is looked at, and those by which it does not hold. All others come after it held. */
const BEFORE: ReadonlySet<string> = new Set(['token_malformed', 'issuer_unknown', 'algorithm_refused'])
const FAILED: ReadonlySet<string> = new Set(['key_unknown', 'signature_invalid'])
const UNREACHABLE: ReadonlySet<string> = new Set(['keys_unavailable', 'issuer_unavailable'])

/** Proves a token as a resource server does, fetching only what the issuer's options name. */
export async function proveToken(
  token: string,
  issuer: IssuerOptions,
  now: () => number,
  clockToleranceSeconds: number,
): Promise<Proof> {
  // Whoever looks at a token asks the issuer nothing about it, and has taken it out of whatever it was encrypted in.
  const { introspection: _asked, opaqueOnly: _only, decryption: _keys, ...plain } = issuer
  const server = createResourceServer({ issuers: [plain], audit: 'none', now, clockToleranceSeconds, limits: PATIENCE })
  try {
    return { signature: 'holds', context: await server.verify(token), refusal: null }
  } catch (error) {
    if (!(error instanceof AuthError)) throw error
    return { signature: stateOf(error.code), context: null, refusal: error }
  } finally {
    await server.close()
  }
}

function stateOf(code: string): SignatureState {
  if (BEFORE.has(code)) return 'not_checked'
  if (FAILED.has(code)) return 'does_not_hold'
  return UNREACHABLE.has(code) ? 'not_checkable' : 'holds'
}
