// Proofs of possession: one proof many times, over four processes that share Redis, and hostile proofs.
import { testsRow } from './soak-tests.mjs'

const TESTS = [
  {
    what: 'uses of one proof over four processes',
    file: 'packages/redis/test/replicas.test.ts',
    variable: 'BEHALF_REPLAY_USES',
    full: 100_000,
    quick: 5000,
  },
]

/** @returns {Promise<import('./soak-rows.mjs').Row[]>} */
export async function soakProofs({ quick }) {
  const rows = []
  for (const { full, quick: few, ...each } of TESTS) rows.push(await testsRow({ ...each, count: quick ? few : full }))
  return rows
}
