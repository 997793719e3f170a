import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

/** `docs/audit-event.schema.json`, as far as tests look into it. */
export interface ObjectSchema {
  readonly properties: Readonly<Record<string, Partial<ObjectSchema>>>
  readonly required: readonly string[]
  readonly $defs: Readonly<Record<string, ObjectSchema>>
}

export const auditEventSchema: ObjectSchema = JSON.parse(
  readFileSync(new URL('../../docs/audit-event.schema.json', import.meta.url), 'utf8'),
) as ObjectSchema

const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false })
addFormats.default(ajv)
const validate = ajv.compile(auditEventSchema)

/** Whether an event, as it stands in a sink's JSON, is one of schema 1.1. */
export function isValidEvent(event: unknown): boolean {
  return validate(JSON.parse(JSON.stringify(event)))
}

/** Fails, saying where and why, for an event that `docs/audit-event.schema.json` does not allow. */
export function assertValidEvent(event: unknown): void {
  if (isValidEvent(event)) return
  const reasons = (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath || '/'} ${message}`)
  assert.fail(`not an audit event of schema 1.1: ${reasons.join('; ')}\n${JSON.stringify(event, null, 2)}`)
}
