import { createResourceServer } from '@behalf/core/adapter'
import { createDpopClient } from '@behalf/testing'
import { describe, expect, test } from 'vitest'
import { Overlap } from '../src/token/overlap.js'
import { HeldResponse, NOW_SECONDS, oauthIssuer, requestView, tokenOf } from './support/harness.js'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('proofs that do not overlap', () => {
  test('one after another in one task, each after the answer to the one before', async () => {
    const overlap = new Overlap()
    for (let each = 0; each < 100; each++) {
      expect(overlap.begins()).toBe(false)
      await null
    }
  })

  test('one that its caller goes on with, in the same run or after a pause', async () => {
    const overlap = new Overlap()
    for (let each = 0; each < 10; each++) {
      expect([overlap.begins(), overlap.goesOn()]).toEqual([false, false])
      await null
      expect([overlap.begins(), overlap.goesOn()]).toEqual([false, false])
      await turn()
      expect(overlap.goesOn()).toBe(false)
    }
  })

  test('one in each turn of the event loop', async () => {
    const overlap = new Overlap()
    for (let each = 0; each < 10; each++) {
      expect(overlap.begins()).toBe(false)
      await turn()
      await turn()
    }
  })
})

describe('proofs that overlap', () => {
  test('in one run of code, from the second on', () => {
    const overlap = new Overlap()
    expect(Array.from({ length: 5 }, () => overlap.begins())).toEqual([false, true, true, true, true])
  })

  test('what goes on overlaps as long as others do, and makes nobody else overlap', async () => {
    const overlap = new Overlap()
    expect([overlap.begins(), overlap.goesOn(), overlap.begins(), overlap.goesOn()]).toEqual([false, false, true, true])
    await turn()
    expect([overlap.goesOn(), overlap.begins()]).toEqual([true, true]) // as in the last turn
    await turn()
    await turn()
    expect([overlap.begins(), overlap.goesOn(), overlap.goesOn()]).toEqual([false, false, false])
  })

  test('in several tasks of one turn; the first of the next turn is taken for another such, after a lone one no more', async () => {
    const overlap = new Overlap()
    const begun: boolean[] = []
    const task = () => new Promise<void>((resolve) => setImmediate(() => resolve(void begun.push(overlap.begins()))))
    await Promise.all([task(), task(), task()])
    expect(begun).toEqual([false, true, true])
    await turn()
    expect(overlap.begins()).toBe(true)
    await turn()
    await turn()
    expect(overlap.begins()).toBe(false)
  })
})

test('a new token and the proof that comes with it do not overlap: requests one after another wait for nothing, together they do', async () => {
  const origin = 'https://api.example.test'
  const now = () => NOW_SECONDS * 1000
  const issuers = [oauthIssuer({ dpop: 'require' })]
  const server = createResourceServer({ issuers, publicOrigins: origin, dpop: { replay: 'single-process' }, now })
  await server.ready()
  const client = createDpopClient({ now })
  const authenticate = server.authenticate()
  const ask = (jti: string) => {
    const token = tokenOf({ jti, cnf: { jkt: client.jkt } })
    const headers = { dpop: client.proof('GET', `${origin}/orders`, { token }) }
    const request = requestView(null, { headers, authorization: [`DPoP ${token}`] })
    return authenticate({ key: {}, request, response: new HeldResponse() })
  }
  for (let each = 0; each < 5; each++) {
    await turn()
    await turn()
    expect(ask(`alone-${each}`)).toBe('go_on')
  }
  await turn()
  await turn()
  const together = [ask('first'), ask('second'), ask('third')]
  expect(together.map((answer) => answer instanceof Promise)).toEqual([false, true, true])
  expect(await Promise.all(together)).toEqual(['go_on', 'go_on', 'go_on'])
})
