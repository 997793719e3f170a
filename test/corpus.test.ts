import type { DelegationRule } from '@behalf/core'
import { createTestIssuer, type TestIssuer } from '@behalf/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CorpusCase, readCases, WAITING, waitsFor } from './support/corpus-cases.js'
import { judge } from './support/corpus-judge.js'
import { corpusNotes, issuerOptionsOf, profileNames, profileOf } from './support/corpus-profiles.js'
import { type AdapterName, type ContextServer, startContextServer } from './support/corpus-servers.js'
import { corpusJwks, tokensOf } from './support/corpus-tokens.js'

const corpus = readCases('delegation.json')
const own = readCases('own-cases.json')

const EVERYBODY: DelegationRule = {
  id: 'everybody',
  kind: ['impersonation', 'delegation'],
  actor: 'any',
  scopes: 'all',
  maxDepth: corpusNotes.maxChainDepth,
}

/** The rule of a case: everybody may act, unless its policy names who may. */
function ruleOf({ profile, policy }: CorpusCase): DelegationRule {
  const pairs = policy?.['allowActors'] as readonly { readonly iss: string; readonly sub: string }[] | undefined
  if (pairs === undefined) return EVERYBODY
  return { ...EVERYBODY, issuer: profileOf(profile).issuer, actor: pairs.map(({ iss, sub }) => ({ issuer: iss, id: sub })) }
}

const servers = new Map<string, Promise<ContextServer>>()

/** One server for each adapter, profile and policy. */
function serverOf(adapter: AdapterName, each: CorpusCase): Promise<ContextServer> {
  const key = JSON.stringify([adapter, each.profile, each.policy])
  const started =
    servers.get(key) ??
    startContextServer({
      adapter,
      issuer: issuerOptionsOf(each.profile, corpusJwks),
      rule: ruleOf(each),
      now: () => corpusNotes.now * 1000,
      clockToleranceSeconds: corpusNotes.clockToleranceSeconds,
    })
  servers.set(key, started)
  return started
}

let attacker: TestIssuer

beforeAll(async () => {
  attacker = await createTestIssuer({ algorithms: ['RS256'] })
})

afterAll(async () => {
  for (const server of servers.values()) await (await server).close()
  await attacker.close()
})

describe.each<AdapterName>(['express', 'koa'])('%s answers each claims set of the corpus', (adapter) => {
  for (const each of [...corpus, ...own]) {
    const reason = waitsFor(each)
    if (reason !== null) {
      it.skip(`${each.id}: ${reason}`)
      continue
    }
    it(each.id, async () => {
      const server = await serverOf(adapter, each)
      for (const token of tokensOf(each, { key: attacker.key(), jwksUri: attacker.jwksUri })) {
        // The second time, a token that is accepted is known already: nothing may come out differently.
        const authorization = `${each.presentation?.scheme ?? 'Bearer'} ${token}`
        const [first, again] = [await server.ask(authorization), await server.ask(authorization)]
        judge(each, first, token)
        judge(each, again, token)
        expect(again.body).toBe(first.body)
      }
      expect(attacker.hits.jwks, 'a key that a token points to is never fetched').toBe(0)
    })
  }
})

describe('the corpus', () => {
  it('names each case once', () => {
    const ids = [...corpus, ...own].map(({ id }) => id)
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([])
  })

  it('has every case that waits', () => {
    expect(corpus.map(({ id }) => id)).toEqual(expect.arrayContaining(Object.keys(WAITING)))
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
