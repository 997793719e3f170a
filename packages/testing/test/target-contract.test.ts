import type { DeliveryRecord, DeliveryTarget } from '@behalf/core'
import { type TargetUnderTest, targetContract, testEvent, testRecord } from '@behalf/testing'
import { describe, expect, it } from 'vitest'

/** A target in memory, with one thing about it broken. */
function targetIn(kept: DeliveryRecord[], broken: Partial<DeliveryTarget> & { readonly read?: typeof byChain } = {}) {
  const target: DeliveryTarget = {
    async deliver(records) {
      for (const record of records) if (!kept.some(({ id }) => id === record.id)) kept.push(record)
    },
    ...broken,
  }
  return { target, kept: () => (broken.read ?? byChain)(kept).map(({ id, body }) => ({ id, body })) }
}

const byChain = (kept: readonly DeliveryRecord[]) => [...kept].sort((one, other) => one.sequence - other.sequence)

/** Names of the cases that do not hold. */
async function brokenCases(create: () => TargetUnderTest): Promise<string[]> {
  const broken: string[] = []
  for (const { name, run } of targetContract(create)) await run().catch(() => broken.push(name))
  return broken
}

describe('targetContract()', () => {
  for (const { name, run } of targetContract(() => targetIn([]))) it(`holds for a list in memory: ${name}`, run)

  const cases: [what: string, broken: (kept: DeliveryRecord[]) => Parameters<typeof targetIn>[1], names: string[]][] = [
    [
      'keeps duplicates',
      (kept) => ({ deliver: async (records) => void kept.push(...records) }),
      [
        'takes the same batch again, and keeps every record once',
        'takes a batch of old and new records, and keeps every record once and in order',
        'keeps the first of two records with one id, in two batches and in one',
        'keeps the records that a journal makes itself',
        'keeps two chains that come interleaved, each in its order',
      ],
    ],
    [
      'takes the sequence for the key',
      (kept) => ({
        async deliver(records) {
          for (const record of records) if (!kept.some(({ sequence }) => sequence === record.sequence)) kept.push(record)
        },
      }),
      [
        'keeps the first of two records with one id, in two batches and in one',
        'keeps two chains that come interleaved, each in its order',
      ],
    ],
    [
      'drops a whole batch for one known record',
      (kept) => ({
        async deliver(records) {
          if (!records.some((record) => kept.some(({ id }) => id === record.id))) kept.push(...records)
        },
      }),
      [
        'takes a batch of old and new records, and keeps every record once and in order',
        'keeps the first of two records with one id, in two batches and in one',
        'keeps two chains that come interleaved, each in its order',
      ],
    ],
    [
      'lets the last record with an id win',
      (kept) => ({
        async deliver(records) {
          for (const record of records) {
            const at = kept.findIndex(({ id }) => id === record.id)
            if (at === -1) kept.push(record)
            else kept[at] = record
          }
        },
      }),
      ['keeps the first of two records with one id, in two batches and in one'],
    ],
    [
      'is read backwards',
      () => ({ read: (kept) => byChain(kept).reverse() }),
      [
        'keeps the order of a chain, within a batch and from one to the next',
        'takes the same batch again, and keeps every record once',
        'takes a batch of old and new records, and keeps every record once and in order',
        'keeps the first of two records with one id, in two batches and in one',
        'keeps the records that a journal makes itself',
        'keeps text of any script, and what JSON escapes',
        'keeps a large body',
        'keeps two chains that come interleaved, each in its order',
        'keeps on close what was delivered before',
      ],
    ],
    [
      'leaves out what is no event',
      (kept) => ({ deliver: async (records) => void kept.push(...records.filter(({ event }) => event !== null)) }),
      [
        'takes the same batch again, and keeps every record once',
        'takes a batch of old and new records, and keeps every record once and in order',
        'keeps the first of two records with one id, in two batches and in one',
        'keeps the records that a journal makes itself',
        'keeps two chains that come interleaved, each in its order',
      ],
    ],
    [
      'cuts a body',
      () => ({ read: (kept) => byChain(kept).map((record) => ({ ...record, body: record.body.slice(0, 65_536) })) }),
      ['keeps a large body'],
    ],
    [
      'drops zero characters',
      () => ({ read: (kept) => byChain(kept).map((record) => ({ ...record, body: record.body.replace('\\u0000', '') })) }),
      ['keeps text of any script, and what JSON escapes'],
    ],
    [
      'forgets on close',
      (kept) => ({
        async close() {
          kept.length = 0
        },
      }),
      ['keeps on close what was delivered before'],
    ],
    [
      'sorts the list that it is given',
      (kept) => ({
        async deliver(records) {
          ;(records as DeliveryRecord[]).reverse().reverse()
          await targetIn(kept).target.deliver(records)
        },
      }),
      ['changes neither a record nor the list of them'],
    ],
  ]
  it.each(cases)('finds a target that %s', async (_, broken, names) => {
    const create = () => {
      const kept: DeliveryRecord[] = []
      return targetIn(kept, broken(kept))
    }
    expect(await brokenCases(create)).toEqual(names)
  })

  it('closes every target once, also where the case fails', async () => {
    let closed = 0
    const create = () =>
      targetIn([], {
        deliver: () => Promise.reject(new Error('away')),
        async close() {
          closed++
        },
      })
    const names = await brokenCases(create)
    expect(names).toHaveLength(targetContract(create).length - 1)
    expect(closed).toBe(targetContract(create).length)
  })
})

describe('testRecord()', () => {
  it('is a record of an event, and follows the event that it is given', () => {
    const event = testEvent()
    const record = testRecord({ event, sequence: 7 })
    expect(record).toEqual({ id: event.id, chain: expect.any(String), sequence: 7, body: JSON.stringify(event), event })
    expect(Object.isFrozen(record)).toBe(true)
  })

  it('takes an id of its own for a record without an event', () => {
    expect(testRecord({ id: 'x/1', event: null, body: '{}' })).toMatchObject({ id: 'x/1', event: null, body: '{}' })
  })
})
