// npm run soak [-- --quick] [keys] [audit] [proofs] [revocations]: what only time shows, by the real clock. Exits with 1 where a row fails.
import { endProgress, printTable } from './table.mjs'

const PARTS = {
  keys: async (options) => (await import('./soak-key-trouble.mjs')).soakKeys(options),
  audit: async (options) => (await import('./soak-audit.mjs')).soakAudit(options),
  proofs: async (options) => (await import('./soak-proofs.mjs')).soakProofs(options),
  revocations: async (options) => (await import('./soak-revocations.mjs')).soakRevocations(options),
}

function readArguments(words) {
  const quick = words.includes('--quick')
  const names = words.filter((word) => word !== '--quick')
  const unknown = names.find((name) => !Object.hasOwn(PARTS, name))
  if (unknown !== undefined) throw new Error(`"${unknown}" is no part: say some of ${Object.keys(PARTS).join(', ')}, or --quick`)
  return { quick, names: Object.keys(PARTS).filter((name) => names.length === 0 || names.includes(name)) }
}

async function main() {
  const { quick, names } = readArguments(process.argv.slice(2))
  for (const name of names) {
    const rows = await PARTS[name]({ quick })
    endProgress()
    printTable(
      `Soak: ${name}`,
      ['', 'measured', 'must be', ''],
      rows.map(({ what, measured, bound, holds }) => [what, measured, bound, holds ? 'holds' : 'FAILS']),
    )
    if (rows.some(({ holds }) => !holds)) process.exitCode = 1
  }
}

main().catch((error) => {
  endProgress()
  process.stderr.write(`the soak ended: ${error?.stack ?? error}\n`)
  process.exitCode = 1
})
