import type { AuditEvent } from '@behalf/core'
import { testEvent, testRecord } from '@behalf/testing'
import { expect, it } from 'vitest'
import { insertStatement, insertValues } from '../src/row.js'

it('a record of schema 1.0, as older journals hold them, has the columns of one that tells of no consent', () => {
  const newer = testEvent()
  const { consent: _consent, ...rest } = newer
  const older = { ...rest, v: '1.0' } as unknown as AuditEvent
  const valuesOf = (event: AuditEvent) => insertValues([{ ...testRecord(), id: 'one', event, body: '{}' }])
  expect(valuesOf(older)).toEqual(valuesOf(newer))
  expect(valuesOf(older)).toHaveLength(insertStatement('audit').match(/\$\d+::/g)?.length ?? 0)
})
