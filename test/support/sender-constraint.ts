/**
 * Whole suites run twice: as they are, and with everything switched on that a server can check of a sender. Nothing else may come
 * of them: a bearer token stays one where a bound one would be asked for its proof.
 */
import type { IssuerOptions, ResourceServerOptions } from '@behalf/core'

/** Whether this run has them switched on (`vitest.config.ts`). */
export const SWITCHED_ON: boolean = process.env['BEHALF_SENDER_CONSTRAINT'] === 'on'

/** What clients call every switched-on server. */
export const PUBLIC_ORIGIN = 'https://api.example.test'

/** What such a server adds to a challenge beside its reason. */
const OFFERED = {
  bearer: true,
  dpopAlgorithms: ['ES256', 'EdDSA'],
  resourceMetadata: `${PUBLIC_ORIGIN}/.well-known/oauth-protected-resource`,
} as const

/** What a server of this run offers in its challenges; `null`: the scheme `Bearer` and nothing else. */
export const OFFER: typeof OFFERED | null = SWITCHED_ON ? OFFERED : null

/** A server's options, and in a switched-on run proofs, nonces, certificates and metadata beside them. */
export function withSenderConstraint<T extends Partial<ResourceServerOptions>>(options: T): T {
  if (!SWITCHED_ON) return options
  const { issuers } = options
  return {
    ...options,
    ...(issuers !== undefined && { issuers: typeof issuers === 'function' ? asked(issuers) : issuers.map(bindable) }),
    publicOrigins: PUBLIC_ORIGIN,
    trustedProxies: ['192.0.2.0/24'],
    dpop: {
      replay: 'single-process',
      algorithms: [...OFFERED.dpopAlgorithms],
      nonce: { secret: 'a text that is long enough for a secret of tests' },
    },
    mtls: { certificate: { header: 'Client-Cert', form: 'rfc9440' } },
    metadata: { resource: PUBLIC_ORIGIN, authorizationServers: ['https://as.example.test'] },
  }
}

function asked(lookup: (iss: string) => IssuerOptions | null | Promise<IssuerOptions | null>) {
  return (iss: string): IssuerOptions | null | Promise<IssuerOptions | null> => {
    const found = lookup(iss)
    return found instanceof Promise ? found.then(bindableOrNot) : bindableOrNot(found)
  }
}

function bindableOrNot(options: IssuerOptions | null): IssuerOptions | null {
  // What is no options is the server's to judge.
  return typeof options === 'object' && options !== null ? bindable(options) : options
}

function bindable(options: IssuerOptions): IssuerOptions {
  return { dpop: 'allow', mtls: 'allow', ...options }
}
