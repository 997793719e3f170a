import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { RefusalMessage } from '@behalf/core'
// #region opentelemetry
import { instrumentBehalf } from '@behalf/opentelemetry'

const stop = instrumentBehalf() // once in a process; stop() ends it
// #endregion opentelemetry

// #region by-hand
/** How often requests were refused, by code. */
export const refusals: Map<string, number> = new Map()

const channel = 'behalf:refusal'

function count(message: unknown): void {
  try {
    const { code } = message as RefusalMessage
    refusals.set(code, (refusals.get(code) ?? 0) + 1)
  } catch {
    // Node would rethrow it as an uncaught exception, and the process would end
  }
}

subscribe(channel, count)

/** After the last listener of a channel is gone, its messages are not made any more. */
export function stopCounting(): void {
  unsubscribe(channel, count)
}
// #endregion by-hand

export { stop }
