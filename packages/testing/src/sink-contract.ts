import assert from 'node:assert/strict'
import type { AuditEvent, AuditSink } from '@behalf/core'
import { testEvent } from './test-event.js'

/** One sink under test, and how to see what it has accepted. */
export interface SinkUnderTest {
  /** Fresh: nothing was written to it yet. */
  readonly sink: AuditSink
  /** Everything that the sink has accepted and kept, in the order in which it keeps it. */
  accepted(): Promise<readonly AuditEvent[]> | readonly AuditEvent[]
}

/** One promise of the contract, to be run by any test runner. */
export interface SinkContractCase {
  /** What the sink promises: the name of a test. */
  readonly name: string
  /** Makes a sink and holds it to the promise; rejects where it is broken. */
  readonly run: () => Promise<void>
}

/**
 * What every audit sink promises, as a list of named cases: `for (const { name, run } of sinkContract(create)) test(name, run)`.
 * Each case creates its own sink. Not checked: what acceptance survives; that is each sink's own promise.
 */
export function sinkContract(create: () => Promise<SinkUnderTest> | SinkUnderTest): readonly SinkContractCase[] {
  const contractCase = (name: string, run: (under: SinkUnderTest) => Promise<void>): SinkContractCase => ({
    name,
    run: async () => run(await create()),
  })
  return [
    contractCase('keeps an accepted event as it is', async ({ sink, accepted }) => {
      const event = testEvent()
      await sink.write(event)
      await sink.flush?.()
      assert.deepEqual(plain(await accepted()), plain([event]))
    }),
    contractCase(
      'keeps events in the order in which they were written, also when nobody waits in between',
      async ({ sink, accepted }) => {
        const events = Array.from({ length: 100 }, () => testEvent())
        await Promise.all(events.map((event) => sink.write(event)))
        await sink.flush?.()
        assert.deepEqual(
          (await accepted()).map((event) => event.id),
          events.map((event) => event.id),
        )
      },
    ),
    contractCase('takes events with every optional part empty, and with text of any script', async ({ sink, accepted }) => {
      const events = [
        testEvent({ subject: null, actor: null, chain: [], kind: null, rule: null, decision: 'refuse', reason: 'token_expired' }),
        testEvent({
          net: { peer: null, forwarded: 'for="[2001:db8::1]"', userAgent: 'Дело/1 “日本” \u{1f600}', callerRequestId: '"\\' },
        }),
      ]
      for (const event of events) await sink.write(event)
      await sink.flush?.()
      assert.deepEqual(plain(await accepted()), plain(events))
    }),
    contractCase('does not change an event', async ({ sink }) => {
      const event = testEvent()
      const before = JSON.stringify(event)
      await sink.write(event)
      assert.equal(JSON.stringify(event), before)
    }),
    contractCase('flushes twice, and flushes nothing', async ({ sink }) => {
      await sink.flush?.()
      await sink.write(testEvent())
      await sink.flush?.()
      await sink.flush?.()
    }),
    contractCase('keeps on close what it accepted before', async ({ sink, accepted }) => {
      const event = testEvent()
      await sink.write(event)
      await sink.close?.()
      assert.deepEqual(
        (await accepted()).map((each) => each.id),
        [event.id],
      )
    }),
  ]
}

/** Events as any sink may give them back: through JSON. */
function plain(events: readonly AuditEvent[]): unknown {
  return JSON.parse(JSON.stringify(events))
}
