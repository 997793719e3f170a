/** The world in which the tests of the whole way take place, with what its APIs record. */
import { type MemorySink, memorySink } from '@behalf/testing'
import { expect } from 'vitest'
import type { Binding } from '../../examples/token-exchange/src/clients.js'
import { type Consent, helpWanted } from '../../examples/token-exchange/src/consents.js'
import { httpsFetch } from '../../examples/token-exchange/src/https-fetch.js'
import { type Framework, startWorld, type World } from '../../examples/token-exchange/src/world.js'

export const BINDINGS: readonly Binding[] = ['dpop', 'mtls']
export const FRAMEWORKS: readonly Framework[] = ['express', 'koa']

export interface TestWorld {
  readonly world: World
  /** What each API has recorded. */
  readonly sinks: Readonly<Record<Framework, MemorySink>>
  /** Of the authorization server. */
  readonly issuer: string
  /** Begins a test: nothing is recorded yet. @returns a new consent of Ada's */
  begin(): Consent
  /** Ends the world, and sees that nothing of it listens any more. @returns what the process was warned of since the start */
  end(): Promise<readonly Error[]>
}

export async function startTestWorld(): Promise<TestWorld> {
  const warnings: Error[] = []
  const note = (warning: Error) => void warnings.push(warning)
  process.on('warning', note)
  const sinks = { express: memorySink(), koa: memorySink() }
  const world = await startWorld((framework) => sinks[framework])
  const { issuer } = world.authorizationServer
  return {
    world,
    sinks,
    issuer,
    begin() {
      for (const sink of Object.values(sinks)) sink.clear()
      return world.consents.give('ada', helpWanted())
    },
    async end() {
      await world.close()
      for (const origin of [issuer, ...Object.values(world.apis)])
        await expect(httpsFetch(world)(origin)).rejects.toThrow('ECONNREFUSED')
      await new Promise(setImmediate) // warnings are told in a later turn
      process.removeListener('warning', note)
      return warnings
    },
  }
}
