import { functionAt, listAt, type Members, membersOf, optional } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import type { Limits } from '../limits.js'
import { ALGORITHM_NAMES, type Algorithm, algorithmAt } from '../token/algorithms.js'
import {
  type CertificateHeader,
  type CertificateSource,
  certificateHeaderAt,
  certificateOfConnection,
  certificateOfHeader,
} from './client-certificate.js'
import { type DpopSettings, longestUseMilliseconds } from './dpop.js'
import { type DpopNonceOptions, DpopNonces, nonceSecretsAt } from './dpop-nonce.js'
import { NO_PEERS, type PeerNetworks, peerNetworksAt } from './peer-networks.js'
import { PublicOrigins, publicOriginsAt } from './public-origins.js'
import { type ReplayMemory, SingleProcessMemory } from './replay-memory.js'

/** How proofs of possession are judged (RFC 9449). That they are asked for is said for each issuer. */
export interface DpopOptions {
  /**
   * Who remembers which proofs were used. `single-process`: this process, for an API without replicas; what it remembers ends with it.
   * For replicas: a memory that they share, such as that of `@behalf/redis`.
   */
  readonly replay: 'single-process' | ReplayMemory
  /** Makes each proof carry a nonce of ours (RFC 9449 9). Default: none is asked for. */
  readonly nonce?: DpopNonceOptions
  /** Accepted `alg` of proofs. Default: every asymmetric one that behalf knows. */
  readonly algorithms?: readonly Algorithm[]
}

/** How client certificates are found (RFC 8705). That tokens are bound to them is said for each issuer. */
export interface MtlsOptions {
  /**
   * `connection` (default): the certificate of the TLS connection to this server, which has to ask for one. Or where a proxy that ends
   * TLS writes it; that is read only where the socket's peer is one of `trustedProxies`.
   */
  readonly certificate?: 'connection' | CertificateHeader
}

/** What tokens that are bound to their sender are judged by. */
export interface BindingSettings {
  /** `null`: proofs cannot be judged. */
  readonly dpop: DpopSettings | null
  /** What is missing for that, as a text that names the mend; `null`: nothing. */
  readonly dpopLacks: string | null
  readonly certificate: CertificateSource
}

/** Reads `publicOrigins`, `trustedProxies`, `dpop` and `mtls` of a server. */
export function resolveBindings(
  members: Members,
  where: string,
  { limits, toleranceSeconds, now }: Pick<DpopSettings, 'limits' | 'toleranceSeconds' | 'now'>,
): BindingSettings {
  const origins = optional(members, 'publicOrigins', where, publicOriginsAt, null)
  const proxies = optional(members, 'trustedProxies', where, peerNetworksAt, NO_PEERS)
  const certificate = optional(
    members,
    'mtls',
    where,
    (value, at) => certificateSourceAt(value, at, proxies),
    certificateOfConnection,
  )
  if (!Object.hasOwn(members, 'dpop')) {
    const lacks = origins === null ? LACKS_ORIGINS : "say in dpop.replay who remembers used proofs, for example 'single-process'"
    return { dpop: null, dpopLacks: lacks, certificate }
  }
  const own = membersOf(members['dpop'], 'dpop', ['replay', 'nonce', 'algorithms'])
  const algorithms = optional(own, 'algorithms', 'dpop', (value, at) => listAt(value, at, algorithmAt), ALGORITHM_NAMES)
  const secrets = optional(own, 'nonce', 'dpop', nonceSecretsAt, null)
  const replay = replayMemoryAt(own['replay'], limits, toleranceSeconds)
  if (origins === null) throw new ConfigError(`dpop is given: ${LACKS_ORIGINS}`)
  return {
    dpop: Object.freeze({
      origins: new PublicOrigins(origins, proxies),
      algorithms: new Set(algorithms),
      replay,
      nonces: secrets === null ? null : new DpopNonces(secrets, limits.nonceSeconds),
      toleranceSeconds,
      limits,
      now,
    }),
    dpopLacks: null,
    certificate,
  }
}

const LACKS_ORIGINS = 'name in publicOrigins the origins that clients call this API by, such as https://api.example.com'

function replayMemoryAt(value: unknown, limits: Limits, toleranceSeconds: number): ReplayMemory {
  if (value === 'single-process') {
    return new SingleProcessMemory(limits.replayEntries, longestUseMilliseconds(limits, toleranceSeconds))
  }
  const memory = value as ReplayMemory | null | undefined
  if (typeof memory !== 'object' || memory === null || typeof memory.use !== 'function') {
    throw new ConfigError("dpop.replay must be 'single-process', or a memory that all replicas share")
  }
  for (const name of ['ready', 'close'] as const) if (memory[name] !== undefined) functionAt(memory[name], `dpop.replay.${name}`)
  return memory
}

function certificateSourceAt(value: unknown, where: string, proxies: PeerNetworks): CertificateSource {
  const members = membersOf(value, where, ['certificate'])
  const header = optional(members, 'certificate', where, certificateHeaderAt, null)
  if (header === null) return certificateOfConnection
  if (proxies === NO_PEERS)
    throw new ConfigError(`${where}.certificate is read from a header: name your proxies in trustedProxies`)
  return certificateOfHeader(header, proxies)
}
