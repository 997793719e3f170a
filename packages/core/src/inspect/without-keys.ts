import type { RefusalCode } from '../challenge.js'
import { AuthError, ConfigError } from '../errors.js'
import { type Issuer, resolveIssuer } from '../issuers/issuer.js'
import type { IssuerOptions } from '../issuers/issuer-options.js'
import { ListedIssuers } from '../issuers/registry.js'
import type { KeySet } from '../keys/key-set.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { isRefused, type ProvenToken, type RefusedToken } from '../proven-token.js'
import { createVerifier } from '../verifier.js'
import { type InspectedRefusal, inspectedRefusal } from './inspected-refusal.js'

/** Nothing is ever asked there (RFC 2606 2): an issuer without keys of its own needs a place for them all the same. */
const NOWHERE = 'https://keys.invalid/'

/**
 * An issuer whose keys nobody asks for.
 * @throws {ConfigError}
 */
export function heldAgainst(options: IssuerOptions, nowMilliseconds: number): Issuer {
  const given = options !== null && typeof options === 'object' ? withPlaceForKeys(options) : options
  return resolveIssuer(given, 'issuer', {
    fetch: () => Promise.reject(new ConfigError('a token is inspected without its keys')),
    now: () => nowMilliseconds,
    limits: DEFAULT_LIMITS,
    random: () => 0,
    keepFresh: false,
    listed: true,
    toleranceSeconds: 0,
    screen: null,
    dpopLacks: null,
  })
}

function withPlaceForKeys(options: IssuerOptions): IssuerOptions {
  return Object.hasOwn(options, 'jwks') || Object.hasOwn(options, 'jwksUri') ? options : { ...options, jwksUri: NOWHERE }
}

/**
 * What the verifier refuses before it asks for a key: another issuer, the algorithm, the key id. It is the verifier itself that is
 * asked, with keys that only take note of being asked for; once for the token, and once for its header alone.
 */
export function beforeKeys(token: string, issuer: Issuer): readonly InspectedRefusal[] {
  const codes = [refusalOf(token, issuer), refusalOf(withIssuerAlone(token, issuer.issuer), issuer)]
  return [...new Set(codes)].flatMap((code) => (code === null ? [] : [told(code, issuer)]))
}

/** The token's header under claims that name nothing but the issuer that is asked for. */
function withIssuerAlone(token: string, iss: string): string {
  const claims = Buffer.from(JSON.stringify({ iss })).toString('base64url')
  return `${token.slice(0, token.indexOf('.'))}.${claims}.AA`
}

function told(code: RefusalCode, issuer: Issuer): InspectedRefusal {
  if (code === 'issuer_unknown') return inspectedRefusal(code, ['iss'], [issuer.issuer])
  if (code === 'algorithm_refused') return inspectedRefusal(code, ['alg'], [...issuer.algorithms])
  return inspectedRefusal(code, ['kid'])
}

function refusalOf(token: string, issuer: Issuer): RefusalCode | null {
  const issuers = new ListedIssuers(new Map([[issuer.issuer, { ...issuer, ...NO_OTHER_WAY, keys: new UnaskedKeys() }]]))
  const verifier = createVerifier({ issuers, cache: null, now: () => 0, clockToleranceSeconds: 0, limits: DEFAULT_LIMITS })
  // At once: nothing is waited for before the keys, and those answer by refusing.
  const answer = verifier.verify(token, undefined) as ProvenToken | RefusedToken
  return isRefused(answer) && answer.error.cause !== ASKED ? answer.error.code : null
}

/** A token is looked at as a signed text, whatever else its issuer may give out. */
const NO_OTHER_WAY = { opaque: null, decrypter: null, statusLists: null }

/** Tells "a key was asked for" from every refusal before that. */
const ASKED = new Error('a key was asked for')

class UnaskedKeys implements KeySet {
  readonly latest = null

  within(): never {
    throw new AuthError('keys_unavailable', { cause: ASKED })
  }

  find(): never {
    return this.within()
  }

  async refresh(): Promise<void> {}

  evict(): void {}

  state(): ReturnType<KeySet['state']> {
    return { keys: 0, ageSeconds: null, stale: false, failures: 0, lastFailure: null }
  }

  close(): void {}
}
