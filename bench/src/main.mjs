// npm run bench [-- --quick] [micro] [http] [growth] [memory] [startup] [dpop] [audit]
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { judgeAims, printAims } from './aims.mjs'
import { describeMachine, strangersLoad } from './machine.mjs'
import { endProgress, progress, say, transcript } from './table.mjs'

/** Loaded only when it runs: a part must not find another's modules warm, nor its memory taken. */
const PARTS = {
  startup: async (options) => (await import('./startup.mjs')).runStartup(options),
  memory: async (options) => (await import('./memory.mjs')).runMemory(options),
  growth: async (options) => (await import('./growth.mjs')).runGrowth(options),
  micro: async (options) => (await import('./micro.mjs')).runMicro(options),
  http: async (options) => (await import('./http.mjs')).runHttp(options),
  dpop: async (options) => (await import('./dpop.mjs')).runDpop(options),
  audit: async (options) => (await import('./audit.mjs')).runAudit(options),
}

/** Share of the cores that others may use before a run says so. */
const BUSY = 0.1

function readArguments(words) {
  const quick = words.includes('--quick')
  const names = words.filter((word) => word !== '--quick')
  const unknown = names.find((name) => !Object.hasOwn(PARTS, name))
  if (unknown !== undefined) throw new Error(`"${unknown}" is no part: say some of ${Object.keys(PARTS).join(', ')}, or --quick`)
  return { quick, names: Object.keys(PARTS).filter((name) => names.length === 0 || names.includes(name)) }
}

async function main() {
  const { quick, names } = readArguments(process.argv.slice(2))
  const machine = { ...describeMachine(), strangersLoad: await strangersLoad() }
  say(`${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${machine.date}${quick ? ', quick' : ''}\n`)
  if (machine.strangersLoad > BUSY) {
    const percent = Math.round(machine.strangersLoad * 100)
    say(`other processes keep ${percent} % of the cores busy: the figures below are not worth keeping\n`)
  }
  const parts = {}
  const seconds = {}
  for (const name of names) {
    const start = Date.now()
    parts[name] = await PARTS[name]({ quick })
    seconds[name] = (Date.now() - start) / 1000
    endProgress()
    progress(`${name}: ${seconds[name].toFixed(1)} s\n`)
  }
  const aims = judgeAims(parts)
  printAims(aims)
  // Only a whole run may take the place of a whole run's results.
  const whole = names.length === Object.keys(PARTS).length
  const file = new URL(`../results${quick ? '.quick' : ''}${whole ? '' : '.partial'}.json`, import.meta.url)
  writeFileSync(file, `${JSON.stringify({ machine, quick, seconds, aims, parts }, null, 2)}\n`)
  process.stdout.write(`\nwritten: ${fileURLToPath(file)}\n`)
  if (whole && !quick) showLastRun()
}

/** Puts what was printed into the page that explains it: nobody copies figures by hand. */
function showLastRun() {
  const page = new URL('../../docs/performance.md', import.meta.url)
  const [before, mark] = readFileSync(page, 'utf8').split(/(<!-- last full run -->\n)/)
  writeFileSync(page, `${before}${mark}\`\`\`text\n${transcript().trim()}\n\`\`\`\n`)
}

main().catch((error) => {
  endProgress()
  // Our own errors say what is wrong; of any other the place is wanted too.
  process.stderr.write(`the benchmark ended: ${error.constructor === Error ? error.message : (error.stack ?? error)}\n`)
  process.exitCode = 1
})
