import { integerAt, listAt, type Members, membersOf, optional, wordAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import { DEFAULT_AUDIT_TIMEOUT_MILLISECONDS } from '../limits.js'
import type { AuditSettings, RecordPolicy } from './recorder.js'
import { type AuditSink, sinkAt } from './sink.js'

/** Where records go, which ones, and what happens where one is not accepted. */
export interface AuditOptions {
  /** Every one of them must accept an event, unless it is wrapped in `bestEffort()`. */
  readonly sinks: readonly AuditSink[]
  /**
   * `delegated` (default): every delegated call, allowed or refused, and refusals of tokens whose signature holds and that
   * carry a delegation claim. `refusals`: all refusals too. `always`: every verified call too.
   */
  readonly record?: RecordPolicy
  /** What becomes of a call whose record is not accepted: `refuse` (default) it with 503, or `allow` it. */
  readonly unrecorded?: 'refuse' | 'allow'
  /** How long the sinks together may take to accept an event, in milliseconds; 1 to 60,000. Default 250. */
  readonly timeoutMilliseconds?: number
}

/** @param needed whether calls may be delegated: then somebody has to say where that is recorded */
export function resolveAudit(members: Members, needed: boolean): AuditSettings {
  const nothing: AuditSettings = { sinks: [], record: 'delegated', unrecorded: 'refuse', timeoutMilliseconds: 0 }
  const audit = members['audit']
  if (audit === 'none') return nothing
  if (audit === undefined) {
    if (needed) throw new ConfigError("audit is needed where calls may be delegated: give sinks, or say audit: 'none'")
    return nothing
  }
  const where = 'audit'
  const inner = membersOf(audit, where, ['sinks', 'record', 'unrecorded', 'timeoutMilliseconds'])
  return Object.freeze({
    sinks: listAt(inner['sinks'], 'audit.sinks', sinkAt),
    record: optional(
      inner,
      'record',
      where,
      (value, at) => wordAt(value, at, ['delegated', 'refusals', 'always']),
      'delegated' as const,
    ),
    unrecorded: optional(inner, 'unrecorded', where, (value, at) => wordAt(value, at, ['refuse', 'allow']), 'refuse' as const),
    timeoutMilliseconds: optional(
      inner,
      'timeoutMilliseconds',
      where,
      (value, at) => integerAt(value, at, 1, 60_000),
      DEFAULT_AUDIT_TIMEOUT_MILLISECONDS,
    ),
  })
}
