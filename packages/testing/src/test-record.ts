import type { AuditEvent, DeliveryRecord } from '@behalf/core'
import { deepFreeze } from './deep-freeze.js'
import { testEvent } from './test-event.js'

/**
 * A record on its way to a delivery target, for tests of targets: of a {@link testEvent}, as a sink would deliver it. Members can
 * be overridden; with another `event`, `id` and `body` follow it.
 */
export function testRecord(overrides: Partial<DeliveryRecord> = {}): DeliveryRecord {
  const event: AuditEvent = overrides.event ?? testEvent()
  return deepFreeze({ id: event.id, chain: TEST_CHAIN, sequence: 0, body: JSON.stringify(event), event, ...overrides })
}

const TEST_CHAIN = '7b0c4dc7-6a4f-4f3a-9a35-3a52b6d7b1ce'
