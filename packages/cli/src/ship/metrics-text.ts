import type { ShipProgress } from '@behalf/journal'

/** How shipping stands, as it is measured. */
export interface ShipMetrics {
  readonly progress: ShipProgress
  /** When the target last acknowledged, in milliseconds since the epoch; `null`: not in this run. */
  readonly acknowledgedAt: number | null
}

type Metric = readonly [name: string, type: 'counter' | 'gauge', help: string, value: (metrics: ShipMetrics) => number | null]

const METRICS: readonly Metric[] = [
  ['delivered_total', 'counter', 'Records that the target acknowledged in this run.', ({ progress }) => progress.delivered],
  ['retries_total', 'counter', 'Deliveries that failed in this run.', ({ progress }) => progress.retries],
  ['removed_total', 'counter', 'Records that retention removed before their turn.', ({ progress }) => progress.removed],
  ['held_records', 'gauge', 'Records that were read and are not delivered.', ({ progress }) => progress.held],
  ['next_sequence', 'gauge', 'Sequence of the next record to deliver.', ({ progress }) => progress.nextSequence],
  [
    'lag_records',
    'gauge',
    'Records between the last delivery and the end of the journal.',
    ({ progress }) => progress.recordsBehind,
  ],
  ['lag_bytes', 'gauge', 'Bytes between the last delivery and the end of the journal.', ({ progress }) => progress.bytesBehind],
  [
    'lag_seconds',
    'gauge',
    'Age of the oldest record that was read and not delivered.',
    ({ progress }) => progress.secondsBehind ?? 0,
  ],
  [
    'target_up',
    'gauge',
    'Whether the last delivery was acknowledged and the cursor saved.',
    ({ progress }) => (progress.error === null ? 1 : 0),
  ],
  [
    'acknowledged_timestamp_seconds',
    'gauge',
    'When the target last acknowledged.',
    ({ acknowledgedAt }) => (acknowledgedAt === null ? null : acknowledgedAt / 1000),
  ],
]

/** Prometheus' text format 0.0.4. */
export function metricsText(metrics: ShipMetrics | null): string {
  if (metrics === null) return ''
  return METRICS.flatMap(([name, type, help, measure]) => {
    const value = measure(metrics)
    const full = `behalf_ship_${name}`
    return value === null ? [] : [`# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${full} ${value}\n`]
  }).join('')
}
