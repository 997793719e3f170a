// The audit trail: the tests of its promises with many more cases than a pipeline has time for, and a disk in real trouble.
import { stallRows } from './soak-stall.mjs'
import { testsRow } from './soak-tests.mjs'

const TESTS = [
  {
    what: 'kills of an API under load',
    file: 'packages/journal/test/kill.test.ts',
    variable: 'BEHALF_KILLS',
    full: 2000,
    quick: 40,
  },
  {
    what: 'tampering edits',
    file: 'packages/journal/test/tamper.test.ts',
    variable: 'BEHALF_TAMPER_CASES',
    full: 100_000,
    quick: 2000,
  },
  {
    what: 'power cuts',
    file: 'packages/journal/test/power-cut.test.ts',
    variable: 'BEHALF_POWER_CUTS',
    full: 20_000,
    quick: 400,
  },
  {
    what: 'rounds of outages of NATS and PostgreSQL during shipping',
    file: 'test/shipping.test.ts',
    variable: 'BEHALF_SHIPPING_ROUNDS',
    full: 100,
    quick: 4,
  },
]

/** @returns {Promise<import('./soak-rows.mjs').Row[]>} */
export async function soakAudit({ quick }) {
  const rows = await stallRows({ quick })
  for (const { full, quick: few, ...each } of TESTS) rows.push(await testsRow({ ...each, count: quick ? few : full }))
  return rows
}
