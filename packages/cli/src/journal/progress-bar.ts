import type { Terminal } from '../terminal.js'

/** How far a journal was read. */
interface ReadProgress {
  readonly bytes: number
  readonly totalBytes: number
  readonly records: number
}

/** A line on a person's terminal that is written over and over, and taken away at the end. */
export interface ProgressBar {
  show(progress: ReadProgress): void
  clear(): void
}

const INTERVAL_MILLISECONDS = 100
const CELLS = 24
const CLEAR_LINE = '\r\u001b[K'

/** On a terminal's stderr alone; elsewhere nothing is ever written. */
export function createProgressBar({ stderr, isTTY, now }: Pick<Terminal, 'stderr' | 'isTTY' | 'now'>): ProgressBar {
  if (!isTTY.stderr) return { show() {}, clear() {} }
  let shownAt = Number.NEGATIVE_INFINITY
  let dirty = false
  return {
    show(progress) {
      const time = now()
      if (time - shownAt < INTERVAL_MILLISECONDS) return
      shownAt = time
      dirty = true
      stderr.write(`${CLEAR_LINE}${textOf(progress)}`)
    },
    clear() {
      if (dirty) stderr.write(CLEAR_LINE)
      dirty = false
    },
  }
}

function textOf({ bytes, totalBytes, records }: ReadProgress): string {
  const part = totalBytes === 0 ? 1 : Math.min(1, bytes / totalBytes)
  const full = Math.floor(part * CELLS)
  const bar = `${'#'.repeat(full)}${'-'.repeat(CELLS - full)}`
  return `[${bar}] ${Math.floor(part * 100)} %  ${byteText(bytes)} of ${byteText(totalBytes)}, ${records} records`
}

/** Bytes for people. */
export function byteText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}
