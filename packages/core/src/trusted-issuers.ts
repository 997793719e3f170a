import type { BindingPolicy } from './binding/binding-policy.js'
import { booleanAt, functionAt, membersOf, optional } from './config-shape.js'
import { ConfigError } from './errors.js'
import { type Issuer, type IssuerEnvironment, resolveIssuer } from './issuers/issuer.js'
import { AskedIssuers, type IssuerLookup, type IssuerRegistry, ListedIssuers } from './issuers/registry.js'
import { publicAddressesOnly } from './keys/private-address.js'
import type { KnownIssuers } from './policy/rule.js'

/** How keys are discovered where `issuers` is a function. */
export interface DiscoveryOptions {
  /**
   * Let discovered URLs lead to private, link-local and loopback addresses, and plain http to loopback. Without it they are
   * refused after their host is resolved: a tenant's metadata must not make this server ask its own neighbours. Default `false`.
   */
  readonly allowPrivateAddresses?: boolean
}

type Environment = Omit<IssuerEnvironment, 'keepFresh' | 'listed' | 'screen'>

/**
 * @param allowPrivate `null`: not said
 * @returns `policies`: `null` where they are not known yet
 */
export function resolveIssuers(
  value: unknown,
  common: Environment,
  allowPrivate: boolean | null,
): { readonly issuers: IssuerRegistry; readonly knownIssuers: KnownIssuers; readonly policies: readonly BindingPolicy[] | null } {
  if (typeof value === 'function') {
    const environment = { ...common, keepFresh: false, listed: false, screen: allowPrivate ? null : publicAddressesOnly() }
    return {
      issuers: new AskedIssuers(functionAt<IssuerLookup>(value, 'issuers'), environment),
      knownIssuers: {
        names: null,
        several: true,
        scopesAreWords: true,
        offersDpop: common.dpopLacks === null,
        detailTypes: null,
      },
      policies: null,
    }
  }
  if (allowPrivate !== null) throw new ConfigError('discovery is for issuers as a function: leave it out beside a list')
  const issuers = listIssuers(value, { ...common, keepFresh: true, listed: true, screen: null })
  const policies = [...issuers.values()].map(({ binding }) => binding)
  return {
    issuers: new ListedIssuers(issuers),
    knownIssuers: {
      names: new Set(issuers.keys()),
      several: issuers.size > 1,
      scopesAreWords: [...issuers.values()].every(writesWords),
      offersDpop: policies.some(({ dpop }) => dpop !== 'off'),
      detailTypes: new Set([...issuers.values()].flatMap(({ dialect }) => [...(dialect.authorizationDetails ?? [])])),
    },
    policies,
  }
}

function listIssuers(value: unknown, environment: IssuerEnvironment): ReadonlyMap<string, Issuer> {
  if (!Array.isArray(value) || value.length === 0) {
    throw new ConfigError('issuers must be a non-empty list of issuer options, or a function that looks them up')
  }
  const issuers = new Map<string, Issuer>()
  Array.from(value).forEach((options: unknown, index) => {
    const issuer = resolveIssuer(options, `issuers[${index}]`, environment)
    if (issuers.has(issuer.issuer)) throw new ConfigError(`issuers[${index}].issuer is configured twice: "${issuer.issuer}"`)
    issuers.set(issuer.issuer, issuer)
  })
  return issuers
}

export function allowPrivateAt(value: unknown, where: string): boolean {
  return optional(membersOf(value, where, ['allowPrivateAddresses']), 'allowPrivateAddresses', where, booleanAt, false)
}

function writesWords({ claims }: Issuer): boolean {
  const { scopes, tenantScopes } = claims.mapping
  return scopes?.format !== 'list' && tenantScopes === null
}
