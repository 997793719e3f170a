// The audit trail: events to disk, what a delegated request waits for them, verification, and other schemas.
import { mkdtempSync, rmSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEventSource } from './audit-events.mjs'
import { measureLatency } from './audit-latency.mjs'
import { measureMappings } from './audit-mappings.mjs'
import { measureThroughput } from './audit-throughput.mjs'
import { measureVerify } from './audit-verify.mjs'
import { say } from './table.mjs'

/** File systems that live in memory (statfs(2)): a sync is free there. */
const IN_MEMORY = new Set([0x01021994, 0x858458f6])

export async function runAudit({ quick }) {
  const folder = mkdtempSync(join(tmpdir(), 'behalf-bench-audit-'))
  const fileSystem = (await statfs(folder)).type
  if (IN_MEMORY.has(fileSystem))
    say(`\n${tmpdir()} is in memory, where a sync costs nothing: set TMPDIR to a directory on a disk\n`)
  const source = await createEventSource()
  try {
    const given = { source, folder, quick }
    return {
      fileSystem: `0x${fileSystem.toString(16)}`,
      throughput: await measureThroughput(given),
      latency: await measureLatency(given),
      verify: await measureVerify(given),
      mappings: await measureMappings(given),
    }
  } finally {
    await source.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
