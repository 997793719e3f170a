// An open loop: requests come when they are due, whether the ones before were answered or not, and wait from then on.
import { performance } from 'node:perf_hooks'
import { quantile } from './rounds.mjs'

/** Timers go by the millisecond: what is due within one comes together. */
const TICK_MILLISECONDS = 1

/**
 * Sends by a fixed schedule. What is overdue is sent tick by tick, with a turn of the event loop between, as it would come in from
 * a socket; nothing is left out.
 * @param {{ perSecond: number, milliseconds: number, send: (dueAt: number) => void }} options
 * @returns {Promise<{ lateP50: number, lateP99: number }>} by how many milliseconds requests were sent after they were due
 */
export function onSchedule({ perSecond, milliseconds, send }) {
  const perTick = (perSecond * TICK_MILLISECONDS) / 1000
  const ticks = Math.round(milliseconds / TICK_MILLISECONDS)
  const start = performance.now()
  const late = []
  let sent = 0
  let tick = 0
  return new Promise((resolve) => {
    const step = () => {
      const dueAt = start + tick * TICK_MILLISECONDS
      if (performance.now() >= dueAt) {
        tick++
        for (; sent < Math.round(tick * perTick); sent++) {
          late.push(performance.now() - dueAt)
          send(dueAt)
        }
      }
      if (tick === ticks) resolve({ lateP50: quantile(late, 0.5), lateP99: quantile(late, 0.99) })
      else if (performance.now() >= start + tick * TICK_MILLISECONDS) setImmediate(step)
      else setTimeout(step, TICK_MILLISECONDS)
    }
    step()
  })
}
