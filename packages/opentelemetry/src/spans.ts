import { type Attributes, trace } from '@opentelemetry/api'
import type { Listeners } from './listeners.js'

/** Writes on the active span what became of its request. A fetch of keys or a lost record may belong to nobody's request. */
export function spanListeners(): Listeners {
  return {
    'behalf:verification': ({ cache }) => annotate({ 'behalf.cache': cache }),
    'behalf:delegated': ({ kind, decision, rule }) =>
      annotate({ 'behalf.kind': kind, 'behalf.decision': decision, ...(rule !== null && { 'behalf.rule': rule }) }),
    'behalf:refusal': ({ code }) => annotate({ 'behalf.refusal.code': code }),
  }
}

function annotate(attributes: Attributes): void {
  const span = trace.getActiveSpan()
  if (span?.isRecording()) span.setAttributes(attributes)
}
