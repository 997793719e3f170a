import { testEvent, testRecord } from '@behalf/testing'
import { expect, test } from 'vitest'
import { deliverChain } from '../src/chain-delivery.js'
import { type ChainPosition, NOTHING_YET } from '../src/chain-position.js'
import type { OutgoingMessage, PublishAnswer } from '../src/publish-window.js'
import type { StreamLink } from '../src/stream-link.js'

const CHAIN = 'chain'
const chainOf = (length: number) =>
  Array.from({ length }, (_, sequence) => testRecord({ chain: CHAIN, sequence, event: testEvent() }))

/** A link that answers as it is told: what a cluster does cannot be brought about at will. */
function linkOf(answer: (window: readonly OutgoingMessage[], call: number) => readonly PublishAnswer[]) {
  const windows: (readonly OutgoingMessage[])[] = []
  let position: ChainPosition = NOTHING_YET
  const link: StreamLink = {
    ackTimeoutMilliseconds: 1,
    maxMessageBytes: 1024 * 1024,
    seen: new Set(),
    subjectOf: (chain) => chain,
    lookUp: async () => position,
    lastSequence: async () => position.streamSequence,
    isOpen: () => true,
    close() {},
    async publish(messages) {
      windows.push(messages)
      return answer(messages, windows.length)
    },
  }
  return {
    link,
    windows,
    moveTo(to: ChainPosition) {
      position = to
    },
  }
}

const stored = (sequence: number, duplicate = false): PublishAnswer => ({ kind: 'stored', sequence, duplicate })
const refused = (status: number): PublishAnswer => ({ kind: 'refused', status })

test('an acknowledgement as a duplicate of what is not stored yet is none', async () => {
  const records = chainOf(2)
  const { link, windows } = linkOf((window, call) =>
    call <= 2 ? window.map(() => stored(0, true)) : window.map((_, at) => stored(at + 1)),
  )
  await deliverChain(link, CHAIN, records, new Map())
  expect(windows.map((window) => window.length)).toEqual([2, 1, 1, 1])
})

test.each([10_070, 10_071, 10_164, 10_158])(
  'refused for its place (%i), a record is tried again, and others after it',
  async (status) => {
    const records = chainOf(1_100)
    const overtaken = linkOf((window, call) =>
      window.map((_, at) => (call === 1 && at >= 10 ? refused(status) : stored(1_000 * call + at))),
    )
    await deliverChain(overtaken.link, CHAIN, records, new Map())
    expect(overtaken.windows.map((window) => window.length)).toEqual([500, 15, 30, 60, 120, 240, 480, 145])
  },
)

test('refused for good, it ends there, and what was acknowledged is known', async () => {
  const records = chainOf(5)
  const acknowledged = new Map<string, ChainPosition>()
  const { link } = linkOf((window) => window.map((_, at) => (at < 2 ? stored(7 + at) : refused(10_077))))
  await expect(deliverChain(link, CHAIN, records, acknowledged)).rejects.toMatchObject({ code: 'refused', status: 10_077 })
  expect(acknowledged.get(CHAIN)).toEqual({ id: records[1]?.id, sequence: 1, streamSequence: 8 })
})

test('what arrives unseen is found, and not delivered again', async () => {
  const records = chainOf(4)
  const under = linkOf((window, call) => {
    under.moveTo({ id: records[2]?.id ?? null, sequence: 2, streamSequence: 30 })
    return window.map(() => (call === 1 ? refused(10_071) : stored(31)))
  })
  await deliverChain(under.link, CHAIN, records, new Map())
  expect(under.windows.map((window) => window.map(({ headers }) => headers.get('Nats-Msg-Id')))).toEqual([
    records.map(({ id }) => id),
    [records[3]?.id],
  ])
  expect(under.windows[1]?.[0]?.headers.get('Nats-Expected-Last-Subject-Sequence')).toBe('30')
})

test('an answer that is missing ends it, whatever the others say', async () => {
  const { link } = linkOf((window) => window.map((_, at) => (at === 1 ? { kind: 'unanswered' as const } : stored(at + 1))))
  await expect(deliverChain(link, CHAIN, chainOf(3), new Map())).rejects.toMatchObject({ code: 'unanswered' })
})
