import { calls } from './calls.js'
import { check } from './check.js'
import { type Options, readOptions, USAGE, UsageError } from './options.js'
import { eventLine, introduction, printable, say } from './printing.js'
import { startDemo } from './start.js'

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0) // whoever read has gone: `npm run demo | head`
  throw error
})

try {
  process.exitCode = await run(readOptions(process.argv.slice(2)))
} catch (error) {
  const trouble = troubleOf(error)
  if (trouble === null) throw error
  process.stderr.write(`${printable(trouble)}\n`)
  process.exitCode = 1
}

/** @returns the exit code */
async function run({ help, check: checking, portBase }: Options): Promise<number> {
  if (help) {
    process.stdout.write(USAGE)
    return 0
  }
  if (checking) return (await check()) ? 0 : 1

  const stopped = untilStopped()
  const demo = await startDemo(portBase, (api) => ({ write: (event) => say(eventLine(api, event)) }))
  say(introduction(demo, calls))
  await stopped
  say('\nEnding.')
  await demo.close()
  return 0
}

function untilStopped(): Promise<unknown> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve)
  })
}

/** What a person can mend, in a sentence; `null` for anything else. */
function troubleOf(error: unknown): string | null {
  if (error instanceof UsageError) return `${error.message}. See npm run demo -- --help`
  const { code, port } = error as NodeJS.ErrnoException & { readonly port?: number }
  const mend = 'choose other ports, for example: npm run demo -- --port-base 4100'
  if (code === 'EADDRINUSE') return `Port ${port} is already in use. End the program that listens there, or ${mend}`
  if (code === 'EACCES') return `Port ${port} needs rights that you do not have here: ${mend}`
  return null
}
