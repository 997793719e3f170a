import type { AuditEvent } from '../audit/event.js'

/** What a `traceparent` says (W3C Trace Context 3.2.2). The span is the caller's, the parent of the span that served the request. */
export interface TraceContext {
  /** 32 hexadecimal digits, not all zero. */
  readonly traceId: string
  /** The caller's span: 16 hexadecimal digits, not all zero. */
  readonly spanId: string
  /** The flags as a number: 1 is `sampled`. */
  readonly flags: number
}

/** Zeroes name nothing, and version `ff` is no version (W3C Trace Context 3.2.2.1 to 3.2.2.3). */
const MEANINGLESS = /^ff|^..-0{32}|^.{35}-0{16}/

/** The trace that the caller says it is part of; `null` where it says none, or one that means nothing. */
export function traceContextOf({ trace: { traceparent } }: Pick<AuditEvent, 'trace'>): TraceContext | null {
  if (traceparent === null || MEANINGLESS.test(traceparent)) return null
  const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-')
  return { traceId, spanId, flags: Number.parseInt(flags, 16) }
}
