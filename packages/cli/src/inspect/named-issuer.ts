import type { IssuerOptions, JsonObject, JwkSet } from '@behalf/core'
import { asgardeo, type CustomOptions, curity, custom, descope, oauth } from '@behalf/core/issuers'
import { CommandError } from '../command-error.js'
import { readJsonFile } from '../read-text-file.js'

export const PRESETS = ['oauth', 'curity', 'descope', 'asgardeo', 'custom'] as const

/** What the command line says of the issuer. */
export interface IssuerFlags {
  readonly preset: (typeof PRESETS)[number]
  readonly issuer?: string
  /** `false`: tokens have none (`--no-audience`). */
  readonly audience?: readonly string[] | false
  readonly clientId?: readonly string[]
  readonly organization?: string
  readonly projectId?: string
  readonly actAs?: boolean
  /** A file or a URL. */
  readonly jwks?: string
  /** A file with members of issuer options. */
  readonly options?: string
  readonly offline?: boolean
}

/** An issuer as a person named it, or as far as that. */
export interface NamedIssuer {
  /** Whether keys were named, by which a token can be proved. What a token says of its keys never counts. */
  readonly hasKeys: boolean
  /** What was not named, and so is taken from the token itself: holding the token against that says nothing. */
  readonly notCompared: readonly ('issuer' | 'audience' | 'client')[]
  /** @throws {ConfigError} */
  optionsFor(unverifiedClaims: JsonObject): IssuerOptions
}

type Members = Readonly<Record<string, unknown>>

/** Stands for what neither the person nor the token says. */
export const NOT_GIVEN = '(not given)'
/** Nothing is fetched there (RFC 2606 2): for issuers whose keys nobody named. */
const NOWHERE = 'https://keys.invalid/'
const URL_SCHEME = /^https?:\/\//i

/** @throws {CommandError} for files that cannot be read, and flags that do not go together */
export async function readIssuerFlags(flags: IssuerFlags): Promise<NamedIssuer> {
  refuseStrayFlags(flags)
  const file = flags.options === undefined ? {} : await readJsonFile(flags.options, 'the issuer options')
  const given: Members = { ...file, ...membersOfFlags(flags), ...(await keysOf(flags.jwks)) }
  const { preset } = flags
  const named = (member: string) => Object.hasOwn(given, member)
  const issuerNamed = named('issuer') || named('organization') || named('projectId')
  const hasKeys = flags.offline !== true && (named('jwks') || named('jwksUri') || issuerNamed)
  return {
    hasKeys,
    notCompared: [
      ...(issuerNamed ? [] : ['issuer' as const]),
      ...(named('audience') || preset === 'descope' || preset === 'asgardeo' ? [] : ['audience' as const]),
      ...(preset === 'asgardeo' && !named('clientIds') ? ['client' as const] : []),
    ],
    optionsFor: (claims) => optionsOf(preset, { ...assumed(preset, given, claims), ...given }, hasKeys),
  }
}

function membersOfFlags(flags: IssuerFlags): Members {
  const { issuer, audience, clientId, organization, projectId, actAs } = flags
  return {
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience: audience === false ? null : audience }),
    ...(audience === false && clientId === undefined && flags.preset !== 'descope' && { anyClient: true }),
    ...(clientId !== undefined && { clientIds: clientId }),
    ...(organization !== undefined && { organization }),
    ...(projectId !== undefined && { projectId }),
    ...(actAs === true && { actAs }),
  }
}

async function keysOf(jwks: string | undefined): Promise<Members> {
  if (jwks === undefined) return {}
  if (URL_SCHEME.test(jwks)) return { jwksUri: jwks }
  return { jwks: (await readJsonFile(jwks, 'the JWK set')) as unknown as JwkSet }
}

const FLAGS_OF: Readonly<Record<string, IssuerFlags['preset']>> = {
  organization: 'asgardeo',
  projectId: 'descope',
  actAs: 'curity',
}

function refuseStrayFlags(flags: IssuerFlags): void {
  for (const [flag, preset] of Object.entries(FLAGS_OF)) {
    if (flags[flag as keyof IssuerFlags] === undefined || flags.preset === preset) continue
    const name = flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    throw new CommandError(`--${name} goes with --preset ${preset}`)
  }
}

/** What the token itself says, where nobody said otherwise. */
function assumed(preset: IssuerFlags['preset'], given: Members, claims: JsonObject): Members {
  const { iss, aud } = claims
  const issuer = typeof iss === 'string' && iss !== '' ? iss : NOT_GIVEN
  const audiences = [aud].flat().filter((each) => typeof each === 'string' && each !== '')
  const audience = audiences.length > 0 ? [...new Set(audiences)] : NOT_GIVEN
  if (preset === 'descope')
    return {
      projectId: given['issuer'] ?? (/^[\w-]+$/.test(issuer) ? issuer : 'not_given'),
      ...(given['projectId'] === undefined && { issuer }),
    }
  if (preset !== 'asgardeo') return { issuer, audience }
  const client = claims['client_id'] ?? claims['azp']
  return {
    clientIds: [typeof client === 'string' && client !== '' ? client : NOT_GIVEN],
    ...(given['organization'] === undefined && given['issuer'] === undefined && { issuer }),
    ...(given['clientIds'] === undefined && given['audience'] === undefined && { audience }),
  }
}

function optionsOf(preset: IssuerFlags['preset'], members: Members, hasKeys: boolean): IssuerOptions {
  const noKeys = !hasKeys && members['jwks'] === undefined && members['jwksUri'] === undefined
  const options = noKeys && members['organization'] === undefined ? { ...members, jwksUri: NOWHERE } : members
  // The presets check the shape of what they are given, and refuse members that they do not know.
  switch (preset) {
    case 'oauth':
      return oauth(options as never)
    case 'curity':
      return curity(options as never)
    case 'descope':
      return descope(options as never)
    case 'asgardeo':
      return asgardeo(options as never)
    case 'custom':
      return custom(options as unknown as CustomOptions)
  }
}
