import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { DeliveryRecord, DeliveryTarget } from '@behalf/core'
import { testEvent } from './test-event.js'
import { testRecord } from './test-record.js'

/** One target under test, and how to see what it keeps. */
export interface TargetUnderTest {
  /** Fresh: nothing was delivered to it yet. */
  readonly target: DeliveryTarget
  /** Everything that the target keeps; of one chain in the order in which it is read there. Asked for also after `close()`. */
  kept(): Promise<readonly KeptRecord[]> | readonly KeptRecord[]
}

/** What has to be kept of a record, whatever else a target makes of it. */
export type KeptRecord = Pick<DeliveryRecord, 'id' | 'body'>

/** One promise of the contract, to be run by any test runner. */
export interface TargetContractCase {
  /** What the target promises: the name of a test. */
  readonly name: string
  /** Makes a target and holds it to the promise; rejects where it is broken. */
  readonly run: () => Promise<void>
}

/** The length of a body that is large for a record: every list of a token at its limit comes to less. */
const LARGE_BODY_CHARACTERS = 200_000

/**
 * What every delivery target promises, as a list of named cases:
 * `for (const { name, run } of targetContract(create)) test(name, run)`. Each case creates its own target and closes it. Not
 * checked: what an acknowledgement survives, and what becomes of a delivery while the target is away; both need a server to kill.
 */
export function targetContract(create: () => Promise<TargetUnderTest> | TargetUnderTest): readonly TargetContractCase[] {
  const contractCase = (name: string, run: (under: TargetUnderTest) => Promise<void>): TargetContractCase => ({
    name,
    async run() {
      const under = await create()
      let closed = false
      const close = async () => {
        if (!closed) await under.target.close?.()
        closed = true
      }
      try {
        await run({ kept: () => under.kept(), target: { deliver: (records) => under.target.deliver(records), close } })
      } finally {
        await close()
      }
    },
  })

  return [
    contractCase('keeps a record as it is', async ({ target, kept }) => {
      const record = testRecord()
      await target.deliver([record])
      assert.deepEqual(await kept(), keptOf([record]))
    }),
    contractCase('keeps the order of a chain, within a batch and from one to the next', async ({ target, kept }) => {
      const records = chainOf(120)
      await target.deliver(records.slice(0, 1))
      await target.deliver(records.slice(1, 100))
      await target.deliver(records.slice(100))
      assert.deepEqual(await kept(), keptOf(records))
    }),
    contractCase('takes the same batch again, and keeps every record once', async ({ target, kept }) => {
      const records = chainOf(20)
      await target.deliver(records)
      await target.deliver(records)
      assert.deepEqual(await kept(), keptOf(records))
    }),
    contractCase('takes a batch of old and new records, and keeps every record once and in order', async ({ target, kept }) => {
      const records = chainOf(30)
      await target.deliver(records.slice(0, 20))
      await target.deliver(records.slice(10))
      assert.deepEqual(await kept(), keptOf(records))
    }),
    contractCase('keeps the first of two records with one id, in two batches and in one', async ({ target, kept }) => {
      const [first, second, third] = chainOf(3)
      assert.ok(first && second && third)
      const again = (record: DeliveryRecord, sequence: number) => testRecord({ ...record, sequence, body: `${record.body} ` })
      await target.deliver([first])
      await target.deliver([again(first, 3), second, again(second, 4), third])
      assert.deepEqual(await kept(), keptOf([first, second, third]))
    }),
    contractCase('keeps the records that a journal makes itself', async ({ target, kept }) => {
      const chain = randomUUID()
      const own = testRecord({ chain, id: `${chain}/0`, body: '{"stop":{"time":"2026-09-21T13:33:20.000Z"}}', event: null })
      const records = [own, testRecord({ chain, sequence: 1 }), testRecord({ ...own, id: `${chain}/2`, sequence: 2 })]
      await target.deliver(records)
      await target.deliver(records.slice(0, 1))
      assert.deepEqual(await kept(), keptOf(records))
    }),
    contractCase('keeps events with every optional part empty', async ({ target, kept }) => {
      const nothing = { subject: null, actor: null, chain: [], kind: null, rule: null, clientId: null, tenant: null } as const
      const net = { peer: null, forwarded: null, userAgent: null, callerRequestId: null }
      const event = testEvent({ ...nothing, net, decision: 'refuse', reason: 'token_expired', stage: 'verify' })
      const records = [testRecord({ event })]
      await target.deliver(records)
      assert.deepEqual(await kept(), keptOf(records))
    }),
    contractCase('keeps text of any script, and what JSON escapes', async ({ target, kept }) => {
      const texts = [
        'Дело “日本” \u{1f600} ﷽ e\u0301',
        '"\\\n\r\t\u2028\u0007',
        'a\u0000b',
        'half a pair: \ud800',
        "'; drop table x; --",
      ]
      const records = texts.map((userAgent, sequence) => {
        const net = { peer: null, forwarded: null, userAgent, callerRequestId: null }
        const subject = { id: userAgent, idClaim: 'sub', issuer: userAgent, type: null, profiles: [], tenant: null }
        return testRecord({ sequence, event: testEvent({ net, subject, clientId: userAgent, rule: userAgent }) })
      })
      await target.deliver(records)
      assert.deepEqual(await kept(), keptOf(records))
    }),
    contractCase('keeps a large body', async ({ target, kept }) => {
      const net = { peer: null, forwarded: null, userAgent: 'я'.repeat(LARGE_BODY_CHARACTERS), callerRequestId: null }
      const records = [testRecord({ event: testEvent({ net }) }), testRecord({ sequence: 1 })]
      await target.deliver(records)
      assert.deepEqual(
        (await kept()).map(({ body }) => body.length),
        records.map(({ body }) => body.length),
      )
      assert.deepEqual(await kept(), keptOf(records))
    }),
    contractCase('keeps two chains that come interleaved, each in its order', async ({ target, kept }) => {
      const one = chainOf(20)
      const other = chainOf(20)
      await target.deliver(interleaved(one.slice(0, 10), other.slice(0, 10)))
      await target.deliver(interleaved(other.slice(5), one.slice(5)))
      const all = await kept()
      assert.equal(all.length, 40)
      for (const chain of [one, other]) assert.deepEqual(only(all, chain), keptOf(chain))
    }),
    contractCase('changes neither a record nor the list of them', async ({ target }) => {
      const records = Object.freeze([testRecord(), testRecord({ sequence: 1 })])
      const before = JSON.stringify(records)
      await target.deliver(records)
      assert.equal(JSON.stringify(records), before)
    }),
    contractCase('keeps on close what was delivered before', async ({ target, kept }) => {
      const records = chainOf(3)
      await target.deliver(records)
      await target.close?.()
      assert.deepEqual(await kept(), keptOf(records))
    }),
    contractCase('closes where nothing was delivered', async ({ target, kept }) => {
      await target.close?.()
      assert.deepEqual(await kept(), [])
    }),
  ]
}

/** A chain of its own, with its first records. */
function chainOf(count: number): readonly DeliveryRecord[] {
  const chain = randomUUID()
  return Array.from({ length: count }, (_, sequence) => testRecord({ chain, sequence }))
}

function keptOf(records: readonly DeliveryRecord[]): readonly KeptRecord[] {
  return records.map(({ id, body }) => ({ id, body }))
}

function interleaved(one: readonly DeliveryRecord[], other: readonly DeliveryRecord[]): readonly DeliveryRecord[] {
  return one.flatMap((record, index) => [record, other[index]].filter((each) => each !== undefined))
}

/** Of everything that is kept, what belongs to a chain. */
function only(kept: readonly KeptRecord[], chain: readonly DeliveryRecord[]): readonly KeptRecord[] {
  const ids = new Set(chain.map(({ id }) => id))
  return kept.filter(({ id }) => ids.has(id))
}
