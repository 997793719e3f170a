import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AuditEvent } from '@behalf/core'
import {
  csvHeader,
  toCloudEvent,
  toCsvRow,
  toEcs,
  toOcsf,
  toOcsfImpersonation,
  toOtelLogRecord,
  toOtlpJson,
} from '@behalf/core/mappings'
import { describe, expect, test } from 'vitest'
import { assertValidEvent } from '../../../test/support/audit-schema.js'
import { GOLDEN_EVENTS } from './golden/events.js'

/**
 * What every mapping makes of one event of every kind. To write the files anew after a mapping was changed on purpose:
 * `BEHALF_GOLDEN=write npx vitest run packages/core/test/mappings-golden.test.ts`, then `npx biome check --write packages/core/test/golden`;
 * read the difference, and raise the version of each mapping that it shows.
 */
const WRITE = process.env['BEHALF_GOLDEN'] === 'write'

const FOLDER = new URL('golden/', import.meta.url)
const fileOf = (name: string) => fileURLToPath(new URL(`${name}.json`, FOLDER))

/** A log record's body repeats the event, in many lines in OTLP: one file shows it. */
const SHOWS_BODY = 'hostile-text'

/** The native event stands in a CloudEvent's data and in a log record's body: once is enough for a file. */
function mapped(name: string, event: AuditEvent): object {
  const { data, ...cloudEvent } = toCloudEvent(event, { source: 'https://api.example.test/audit' })
  const { body, ...otel } = toOtelLogRecord(event)
  expect(data).toBe(event)
  expect(body).toBe(event)
  return {
    event,
    ocsf: toOcsf(event, { service: 'orders' }),
    ocsfImpersonation: toOcsfImpersonation(event),
    ecs: toEcs(event),
    cloudEvent,
    otel,
    otlp: JSON.parse(JSON.stringify(toOtlpJson([event], { resource: { 'service.name': 'orders' } })), (member, value) =>
      member === 'body' && name !== SHOWS_BODY ? `as in ${SHOWS_BODY}` : value,
    ),
    csv: [csvHeader(), toCsvRow(event)],
  }
}

describe.each(Object.entries(GOLDEN_EVENTS))('%s', (name, event) => {
  test('is an event of schema 1.1', () => assertValidEvent(event))

  test('is mapped as its golden file says, in that order', () => {
    const made = mapped(name, event)
    if (WRITE) writeFileSync(fileOf(name), `${JSON.stringify(made, null, 2)}\n`)
    expect(existsSync(fileOf(name))).toBe(true)
    const kept: unknown = JSON.parse(readFileSync(fileOf(name), 'utf8'))
    expect(JSON.parse(JSON.stringify(made))).toEqual(kept)
    expect(JSON.stringify(made)).toBe(JSON.stringify(kept))
  })
})

test('there is no golden file without an event', () => {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith('.json'))
  expect(files.map((file) => basename(file, '.json')).sort()).toEqual(Object.keys(GOLDEN_EVENTS).sort())
})
