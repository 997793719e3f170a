import type { RefusalCode } from './challenge.js'
import type { AuthError } from './errors.js'
import { createRareWarning } from './rare-warning.js'

/** What our own trouble with a request can be, where its refusal does not say more. Of all others somebody else warns already. */
const TROUBLES: Partial<Record<RefusalCode, string>> = {
  keys_unavailable: 'the keys of an issuer cannot be read',
  issuer_unavailable: 'an issuer cannot be looked up',
  introspection_unavailable: 'an issuer does not answer about its tokens',
  revocation_unavailable: 'a set of revocations is behind, or a function that knows of some threw, rejected or took too long',
  rule_unavailable: 'a function of the application threw, rejected, took too long or answered oddly',
}

/**
 * Warns of refusals that are our own trouble: their callers are told nothing but 503, and somebody has to know why. For each code at most
 * once a minute, with the fixed text of its cause and the rule that asked; never with anything of a request or of what was thrown.
 */
export function createTroubleWarning(now: () => number): (error: AuthError, rule: string | null) => void {
  const warnings = new Map<RefusalCode, (text: string) => void>()
  return ({ code, cause }, rule) => {
    const trouble = TROUBLES[code]
    if (trouble === undefined) return
    const warn = warnings.get(code) ?? createRareWarning('BEHALF_UNAVAILABLE', now)
    warnings.set(code, warn)
    warn(`requests are answered with 503 ${code}${rule === null ? '' : ` by the rule "${rule}"`}: ${causeOf(cause) ?? trouble}`)
  }
}

/** Causes of refusals are errors of ours, with fixed texts. */
function causeOf(cause: unknown): string | null {
  if (!(cause instanceof Error)) return null
  const { message, status } = cause as Error & { readonly status?: number | null }
  return typeof status === 'number' ? `${message} (status ${status})` : message
}
