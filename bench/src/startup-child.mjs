// Run with --expose-gc by startup.mjs: loads packages, and says what that cost.
import 'node:crypto'
import 'node:http'
import { performance } from 'node:perf_hooks'
import 'express'

const packages = JSON.parse(process.argv[2])
const weigh = () => {
  globalThis.gc()
  const { heapUsed, rss } = process.memoryUsage()
  return { heapUsed, rss }
}
const before = weigh()
const start = performance.now()
for (const name of packages) await import(name)
const milliseconds = performance.now() - start
const after = weigh()
process.send({
  result: {
    milliseconds,
    heapMiB: (after.heapUsed - before.heapUsed) / 2 ** 20,
    residentMiB: (after.rss - before.rss) / 2 ** 20,
  },
})
