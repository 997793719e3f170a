/** Journals outlive the versions that wrote them: records of native schema 1.0, which knew no `consent`, beside those of today. */
import type { AuditEvent } from '@behalf/core'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { readJournal } from '../src/read/read-journal.js'
import { verifyJournal } from '../src/verify/verify-journal.js'
import { decision, eventsOf, newDirectory, newJournal, outcomeOf, refusal, VERIFIER_KEY } from './support/journals.js'

beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** An event as an older core made it. */
function older(event: AuditEvent): AuditEvent {
  const { consent: _consent, ...rest } = event
  return { ...rest, v: '1.0' } as unknown as AuditEvent
}

const CONSENT = { consentId: 'consent-1', expiresAt: 1790003600, ticket: null, reason: 'asked by phone' }
const brief = ({ v, type, result, consent }: AuditEvent) => [v, type, result, consent]

describe('a journal that an older version began', () => {
  test('is gone on with, closed, read and verified', async () => {
    const directory = newDirectory()
    const before = newJournal(directory)
    const [whole, open] = [older(decision()), older(decision())]
    await before.write(whole)
    await before.write(older(outcomeOf(whole)))
    await before.write(open)
    before.write(older(refusal()))
    await before.close()

    const after = newJournal(directory)
    await after.ready()
    const today = decision({ consent: CONSENT })
    await after.write(today)
    await after.write(outcomeOf(today))
    await after.close()

    expect(eventsOf(directory).map(brief)).toEqual([
      ['1.0', 'access.decision', null, undefined],
      ['1.0', 'access.outcome', 'completed', undefined],
      ['1.0', 'access.decision', null, undefined],
      ['1.0', 'access.decision', null, undefined],
      // What nobody saw the end of is closed in the words of its decision, its version among them.
      ['1.0', 'access.outcome', 'unknown', undefined],
      ['1.1', 'access.decision', null, CONSENT],
      ['1.1', 'access.outcome', 'completed', CONSENT],
    ])
    const report = await verifyJournal(directory, { key: VERIFIER_KEY })
    expect(report).toMatchObject({ verdict: 'good' })
    const read: string[] = []
    for await (const { record } of readJournal(directory)) {
      if (record.kind === 'event') read.push((record.body as unknown as AuditEvent).v)
    }
    expect(read).toEqual(['1.0', '1.0', '1.0', '1.0', '1.0', '1.1', '1.1'])
  })
})
