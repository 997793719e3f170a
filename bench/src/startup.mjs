// What it costs to load a guard, in time, memory and packages.
import { startChild } from './child.mjs'
import { packagesOf } from './installed.mjs'
import { inRounds, median } from './rounds.mjs'
import { fixed, printTable, progress } from './table.mjs'

/** The framework is there anyway; it must be loaded before, or the guard that imports it would pay for it. */
const FRAMEWORK = 'express'

const SUBJECTS = [
  { name: '@behalf/express', packages: ['@behalf/express'] },
  { name: 'express-oauth2-jwt-bearer', packages: ['express-oauth2-jwt-bearer'] },
  { name: 'express-jwt + jwks-rsa', packages: ['express-jwt', 'jwks-rsa'] },
  { name: 'jose', packages: ['jose'] },
  { name: 'lru-cache', packages: ['lru-cache'] },
]

export async function runStartup({ quick }) {
  const samples = await inRounds({
    subjects: SUBJECTS,
    rounds: quick ? 3 : 25,
    warmUpRounds: 1,
    progress: (text) => progress(`startup: ${text}`),
    async measure({ packages }) {
      const child = startChild('./startup-child.mjs', [JSON.stringify(packages)], { execArgv: ['--expose-gc'] })
      try {
        const { result } = await child.until((message) => message.result).promise
        return result
      } finally {
        child.end()
      }
    },
  })
  const rows = SUBJECTS.map((subject) => {
    const of = (figure) => median(samples.get(subject).map((sample) => sample[figure]))
    return { name: subject.name, milliseconds: of('milliseconds'), heapMiB: of('heapMiB'), residentMiB: of('residentMiB') }
  })
  const packages = SUBJECTS.map(({ name, packages: names }) => {
    // Types of the compiler are installed, but nobody runs them: left out for all alike.
    const all = packagesOf(names, { without: [FRAMEWORK] }).filter((each) => !each.startsWith('@types/'))
    return { name, all, others: all.filter((each) => !names.some((own) => each.startsWith(`${own}@`))) }
  })
  printTable(
    'Start-up: importing a guard in a new process, and the packages that come with it',
    ['', 'ms', 'heap MiB', 'resident MiB', 'packages', 'beside itself'],
    rows.map(({ name, milliseconds, heapMiB, residentMiB }, index) => {
      const { all, others } = packages[index]
      return [name, fixed(milliseconds, 1), fixed(heapMiB, 2), fixed(residentMiB, 1), all.length, others.length]
    }),
  )
  return { rows, packages }
}
