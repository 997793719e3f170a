/**
 * Whole suites run once more with everything switched on that can end a token before its time: revocation by every basis, of a set that
 * holds entries for others, by a function, and status lists. Nothing else may come of them: nobody has ended anything.
 */

import { hash } from 'node:crypto'
import {
  type Fetch,
  type IssuerOptions,
  memoryRevocations,
  type RefusalCode,
  type ResourceServerOptions,
  type RevocationBasis,
  type RevocationSet,
} from '@behalf/core'

/** Whether this run has them switched on (`vitest.config.ts`). */
export const ENDINGS: boolean = process.env['BEHALF_ENDINGS'] === 'on'

const BASES: readonly RevocationBasis[] = ['tokenId', 'subject', 'actor', 'subjectAndActor']

/** Whatever lifetime tokens of tests have; some of them last for years. */
export const LONGEST_SECONDS: number = 2 ** 31

function revocationsOfOthers(): RevocationSet {
  const set = memoryRevocations({ now: () => 0 })
  for (let index = 0; index < 10; index++) {
    set.add({
      key: hash('sha256', `another ${index}`, 'base64url'),
      issuedUntilSeconds: null,
      keepUntil: Number.MAX_SAFE_INTEGER,
    })
  }
  return set
}

/** A server's options, and in a switched-on run all of this beside them. */
export function withEndings<T extends Partial<ResourceServerOptions>>(options: T): T {
  // A server that has its own word about it is left alone.
  if (!ENDINGS || options.revocation !== undefined) return options
  const { issuers } = options
  return {
    ...options,
    ...(Array.isArray(issuers) && { issuers: issuers.map(listed) }),
    fetch: options.fetch ?? fetchOrKnowNone,
    revocation: {
      maxTokenLifetimeSeconds: LONGEST_SECONDS,
      checks: [
        { by: BASES, issuer: 'any', from: revocationsOfOthers() },
        { by: BASES, issuer: 'any', from: () => false },
      ],
    },
  }
}

/** Knows no token: a JWT that is asked about would be seen. */
const KNOWS_NONE = {
  endpoint: 'https://knows-none.example.test/introspect',
  clientId: 'api-1',
  authentication: { method: 'client_secret_basic', clientSecret: 'a secret of tests' },
} as const

const fetchOrKnowNone: Fetch = (url, init) =>
  url === KNOWS_NONE.endpoint ? Promise.resolve(Response.json({ active: false })) : fetch(url, init)

/** What becomes of a text that is not even a JWT by its shape: where an issuer can be asked, it is asked. */
export const NO_JWT: RefusalCode = ENDINGS ? 'token_inactive' : 'token_malformed'

function listed(options: IssuerOptions, index: number, all: readonly IssuerOptions[]): IssuerOptions {
  // What is no options is the server's to judge, and an issuer that is only asked about its tokens has no lists.
  if (typeof options !== 'object' || options === null || options.opaqueOnly === true) return options
  const asks = index === 0 && all.every((each) => each?.introspection === undefined)
  return { statusList: { origins: ['https://status.example.test'] }, ...(asks && { introspection: KNOWS_NONE }), ...options }
}
