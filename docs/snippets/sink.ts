import { appendFileSync } from 'node:fs'
import type { AuditSink } from '@behalf/core'

// #region sink
/** One JSON line per event. Accepted means: the operating system has it. A crash of the process keeps it, a power cut does not. */
export function fileSink(path: string): AuditSink {
  return {
    write(event) {
      appendFileSync(path, `${JSON.stringify(event)}\n`)
    },
  }
}
// #endregion sink
