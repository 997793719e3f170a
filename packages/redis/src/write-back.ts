import { setImmediate as turn } from 'node:timers/promises'
import type { RevocationEntry } from '@behalf/core/sink-kit'
import type { Connection } from './connection.js'
import type { LocalCopy } from './local-copy.js'
import { giveBack, look, type RevocationKeys } from './revocation-script.js'

/** What is written back, and where. */
export interface WriteBack {
  readonly commands: Connection
  readonly keys: RevocationKeys
  readonly copy: LocalCopy
  /** The epoch that was read. */
  readonly epoch: string
  /** What was read of it, and heard since. */
  readonly there: ReadonlyMap<string, RevocationEntry>
  readonly now: () => number
}

/** How many entries are compared, and written back, at a time. */
const ENTRIES_AT_A_TIME = 100
/** How often that is done without waiting for the answer. */
const STEPS_AT_A_TIME = 8

/**
 * Writes back what this replica knows and Redis does not. From anywhere on: other replicas do the same now, and what they have written is
 * left out. Requests are served in between.
 *
 * Where the epoch is another one than that in which Redis had all of it, each step says so, also one with nothing to write: nobody is
 * sure of anything before they have ended.
 *
 * @returns whether Redis has everything in that epoch
 */
export async function writeBack({ commands, keys, copy, epoch, there, now }: WriteBack): Promise<boolean> {
  const { home } = copy
  const isAwaited = copy.mayExceed(epoch)
  const known = copy.keys()
  const start = Math.floor(Math.random() * known.length)
  const turned = [...known.slice(start), ...known.slice(0, start)]
  let at = 0

  async function goOn(): Promise<void> {
    while (at < turned.length) {
      const part = turned.slice(at, at + ENTRIES_AT_A_TIME)
      at += part.length
      const lacked = copy.lackedBy(there, part, now())
      if (isAwaited || lacked.length > 0) await giveBack(commands, keys, lacked, home)
      else await turn()
    }
  }

  await Promise.all(Array.from({ length: STEPS_AT_A_TIME }, goOn)).finally(() => {
    at = turned.length
  })
  return !isAwaited || (await look(commands, keys, home)).epoch === epoch
}
