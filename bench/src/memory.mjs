// Heap after very many different tokens: bounded by what the cache was given, whatever comes.
import { startChild } from './child.mjs'
import { fixed, printTable, progress, whole } from './table.mjs'

/** A cache holds tokens by their estimated bytes; what it really keeps may be so much more. */
const SLACK_MIB = 8

const RUNS = [
  { name: 'default cache (10,000 entries, 64 MiB)', cache: null, boundMiB: 64 + SLACK_MIB, tokens: 200_000, quickTokens: 20_000 },
  { name: 'cache of 1,000 entries', cache: { maxEntries: 1000 }, boundMiB: 6.4 + SLACK_MIB, tokens: 20_000, quickTokens: 3000 },
]

export async function runMemory({ quick }) {
  const runs = []
  for (const { name, cache, boundMiB, tokens, quickTokens } of RUNS) {
    const count = quick ? quickTokens : tokens
    const child = startChild('./memory-child.mjs', [JSON.stringify({ cache, count })], { execArgv: ['--expose-gc'] })
    try {
      const watch = (message) => {
        if (message.done !== undefined) progress(`memory, ${name}: ${whole(message.done)} of ${whole(count)} tokens`)
        return message.result
      }
      const { result } = await child.until(watch).promise
      runs.push({ name, boundMiB, ...result })
    } finally {
      child.end()
    }
  }
  printTable(
    'Memory: different ES256 tokens through one server, in MiB after a full collection',
    ['', 'tokens', 'heap before', 'half way', 'after', 'kept', 'peak heap', 'peak resident'],
    runs.map((run) => [
      run.name,
      whole(run.tokens),
      ...[run.beforeMiB, run.halfWayMiB, run.afterMiB, run.heldMiB, run.peakMiB, run.residentMiB].map((each) => fixed(each, 1)),
    ]),
  )
  return { runs }
}
