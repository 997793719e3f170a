import type { DelegationRule, ResourceServerOptions } from '@behalf/core'
import { createDpopClient, createTestIssuer, type TestIssuer } from '@behalf/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { claimsEndpoint } from './support/claims-endpoint.js'
import { type CorpusCase, readCases, waitsFor } from './support/corpus-cases.js'
import { judge } from './support/corpus-judge.js'
import { corpusNotes, issuerOptionsOf, profileNames, profileOf } from './support/corpus-profiles.js'
import { type AdapterName, type ContextServer, startContextServer } from './support/corpus-servers.js'
import { claimsTextOf, corpusJwks, tokensOf } from './support/corpus-tokens.js'
import { ENCRYPTED } from './support/encryption.js'
import { ENDINGS } from './support/endings.js'
import { PUBLIC_ORIGIN, SWITCHED_ON } from './support/sender-constraint.js'

const corpus = readCases('delegation.json')
const own = readCases('own-cases.json')

const EVERYBODY: DelegationRule = {
  id: 'everybody',
  kind: ['impersonation', 'delegation'],
  actor: 'any',
  scopes: 'all',
  maxDepth: corpusNotes.maxChainDepth,
}

/** What stands for a token without a header: the issuer's answer about one that only it can read. */
function isAnswer({ header }: CorpusCase): boolean {
  return header === null
}

/** The rule of a case: everybody may act, unless its policy names who may, or asks for the whole chain. */
function ruleOf({ profile, policy }: CorpusCase): DelegationRule {
  if (policy?.['requireCompleteChain'] === true) return { ...EVERYBODY, completeChain: true }
  const pairs = policy?.['allowActors'] as readonly { readonly iss: string; readonly sub: string }[] | undefined
  if (pairs === undefined) return EVERYBODY
  return { ...EVERYBODY, issuer: profileOf(profile).issuer, actor: pairs.map(({ iss, sub }) => ({ issuer: iss, id: sub })) }
}

/** Cases that a server which understands proofs refuses for want of one, in other words. */
const ASKED_FOR_PROOF: Readonly<Record<string, string>> = {
  'own-bound-shown-with-dpop': 'a proof is asked for: proof_missing, held by the standards suite',
}

/** Cases whose answer is another one where sets of revocations and status lists are asked. */
const ASKED_ABOUT_ENDINGS: Readonly<Record<string, string>> = {
  'in-004-chain-incomplete': 'does not say since when it is good, so that no revocation of it could be kept for long enough',
  'in-005-chain-incomplete-policy': 'the same',
  'own-status-unchecked': 'its list is looked for',
}

/** Why a case is not judged in this run; `null`: it is. */
function leftOut(each: CorpusCase): string | null {
  const elsewhere = { ...(SWITCHED_ON && ASKED_FOR_PROOF), ...(ENDINGS && ASKED_ABOUT_ENDINGS) }
  return waitsFor(each) ?? elsewhere[each.id] ?? null
}

/** Options of a server whose tokens are bound to a key. */
const BOUND: Partial<ResourceServerOptions> = {
  publicOrigins: PUBLIC_ORIGIN,
  dpop: { replay: 'single-process', algorithms: ['ES256'] },
}

const servers = new Map<string, Promise<ContextServer>>()

/** One server for each adapter, profile and policy. */
function serverOf(
  adapter: AdapterName,
  each: CorpusCase,
  tokens: 'as they are' | 'bound' = 'as they are',
): Promise<ContextServer> {
  const key = JSON.stringify([adapter, each.profile, each.policy, tokens, isAnswer(each)])
  const started =
    servers.get(key) ??
    startContextServer({
      adapter,
      issuer: {
        ...issuerOptionsOf(each.profile, corpusJwks),
        ...(tokens === 'bound' && { dpop: 'require' as const }),
        ...(each.policy?.['checkStatus'] === true && { statusList: true }),
        ...(isAnswer(each) && { introspection: endpoint.options, opaqueOnly: true }),
      },
      ...(tokens === 'bound' && { more: BOUND }),
      rule: ruleOf(each),
      now: () => corpusNotes.now * 1000,
      clockToleranceSeconds: corpusNotes.clockToleranceSeconds,
    })
  servers.set(key, started)
  return started
}

let attacker: TestIssuer
const endpoint = claimsEndpoint()

beforeAll(async () => {
  await endpoint.start()
  attacker = await createTestIssuer({ algorithms: ['RS256'] })
})

afterAll(async () => {
  for (const server of servers.values()) await (await server).close()
  await attacker.close()
  await endpoint.close()
})

/** Tokens of a case: signed texts, or one that stands for what the issuer says of it. */
function presented(each: CorpusCase, jkt?: string): readonly string[] {
  const forger = { key: attacker.key(), jwksUri: attacker.jwksUri }
  return isAnswer(each) ? [endpoint.tokenFor(claimsTextOf(each, jkt))] : tokensOf(each, forger, jkt)
}

describe.each<AdapterName>(['express', 'koa'])('%s answers each claims set of the corpus', (adapter) => {
  for (const each of [...corpus, ...own]) {
    const reason = leftOut(each)
    if (reason !== null) {
      it.skip(`${each.id}: ${reason}`)
      continue
    }
    it(each.id, async () => {
      const server = await serverOf(adapter, each)
      for (const token of presented(each)) {
        // The second time, a token that is accepted is known already: nothing may come out differently.
        const authorization = () => `${each.presentation?.scheme ?? 'Bearer'} ${server.seal(token)}`
        const [first, again] = [await server.ask(authorization()), await server.ask(authorization())]
        judge(each, first, token)
        judge(each, again, token)
        expect(again.body).toBe(first.body)
      }
      expect(attacker.hits.jwks, 'a key that a token points to is never fetched').toBe(0)
    })
  }
})

/** Cases that are about the presentation itself. */
const ABOUT_PRESENTATION = [...corpus, ...own].filter(
  ({ claims, presentation }) => presentation !== undefined || (typeof claims === 'object' && claims !== null && 'cnf' in claims),
)

// A switched-on server asks for nonces; the suite runs as it is, too.
describe.skipIf(SWITCHED_ON).each<AdapterName>(['express', 'koa'])(
  '%s answers each claims set the same where it is bound to a key that is proved',
  (adapter) => {
    const client = createDpopClient({ now: () => corpusNotes.now * 1000 })
    const told = {
      offer: { bearer: false, dpopAlgorithms: ['ES256'], resourceMetadata: null },
      scheme: 'DPoP',
    } as const
    for (const each of [...corpus, ...own]) {
      if (leftOut(each) !== null || ABOUT_PRESENTATION.includes(each)) continue
      it(each.id, async () => {
        const server = await serverOf(adapter, each, 'bound')
        for (const token of presented(each, client.jkt)) {
          const [first, again] = [await server.ask(...shown(server.seal(token))), await server.ask(...shown(server.seal(token)))]
          judge(each, first, token, told)
          judge(each, again, token, told)
          expect(again.body).toBe(first.body)
        }
      })
    }

    const shown = (token: string) => [`DPoP ${token}`, { dpop: client.proof('GET', `${PUBLIC_ORIGIN}/`, { token }) }] as const
  },
)

it.runIf(ENCRYPTED)('in an encrypted run, tokens are shown encrypted, and plain ones are refused', async () => {
  const each = corpus.find(({ expected, profile }) => expected.outcome === 'accept' && profile === 'rfc8693-strict') as CorpusCase
  const server = await serverOf('express', each)
  const [token = ''] = presented(each)
  expect(server.seal(token).split('.')).toHaveLength(5)
  expect((await server.ask(`Bearer ${token}`)).body).toContain('encryption_required')
})

describe('the corpus', () => {
  it('names each case once', () => {
    const ids = [...corpus, ...own].map(({ id }) => id)
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([])
  })

  it('has answers of introspection among its claims sets, and a reference to a status list', () => {
    expect(corpus.filter(isAnswer).length).toBeGreaterThan(1)
    expect(corpus.filter(({ policy }) => policy?.['checkStatus'] === true).length).toBeGreaterThan(0)
  })

  it('turns every profile into issuer options that a server accepts', () => {
    for (const profile of profileNames) {
      expect(issuerOptionsOf(profile, corpusJwks)).toMatchObject({
        issuer: profileOf(profile).issuer,
        tokenTypes: profileOf(profile).typ ?? ['at+jwt'],
      })
    }
  })

  it('has own cases that say exactly why they are refused', () => {
    const refused = own.filter(({ expected }) => expected.outcome === 'reject')
    expect(refused.filter(({ expected }) => expected.code === undefined).map(({ id }) => id)).toEqual([])
  })
})
