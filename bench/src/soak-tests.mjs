// A test file that tries as many cases as an environment variable says, run as a row of a soak.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { progress, whole } from './table.mjs'

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url))
const VITEST = join(REPOSITORY, 'node_modules/vitest/vitest.mjs')

/** A test that goes through all cases by itself takes hours; nobody waits for one that hangs longer than that. */
const MOST_HOURS = 6

/** Failures that are shown: the first says most. */
const FAILURES_SHOWN = 3

/**
 * @param {{ what: string, file: string, variable: string, count: number }} given `file`: from the repository's root
 * @returns {Promise<import('./soak-rows.mjs').Row>}
 */
export async function testsRow({ what, file, variable, count }) {
  const row = { what: `${whole(count)} ${what}`, bound: 'all pass, none skipped' }
  const path = join(REPOSITORY, file)
  if (!existsSync(path)) return { ...row, measured: `there is no ${file}`, holds: false }
  // Else a few cases would pass for many.
  if (!readFileSync(path, 'utf8').includes(variable))
    return { ...row, measured: `${file} does not read ${variable}`, holds: false }
  const start = Date.now()
  const report = await runTests(file, { [variable]: String(count) }, (line) =>
    progress(`soak: ${row.what}, ${minutes(start)}: ${line}`),
  )
  if (report === null) return { ...row, measured: 'the tests could not be run', holds: false }
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults)
  const numberOf = (word) => tests.filter(({ status }) => status === word).length
  const [passed, failed] = [numberOf('passed'), numberOf('failed')]
  for (const message of failuresOf(report).slice(0, FAILURES_SHOWN)) process.stderr.write(`\n${message}\n`)
  return {
    ...row,
    measured: `${passed} pass, ${failed} fail, ${tests.length - passed - failed} skipped, in ${minutes(start)}`,
    holds: report.success && tests.length > 0 && passed === tests.length,
  }
}

function failuresOf({ testResults }) {
  return testResults.flatMap(({ message, assertionResults }) => [
    ...(message ? [message] : []),
    ...assertionResults.flatMap(({ fullName, failureMessages }) => failureMessages.map((each) => `${fullName}\n${each}`)),
  ])
}

/** @returns {Promise<object | null>} what Vitest's JSON reporter says; `null` where it said nothing */
async function runTests(file, environment, tell) {
  const folder = mkdtempSync(join(tmpdir(), 'behalf-soak-'))
  const output = join(folder, 'report.json')
  try {
    const words = ['run', file, '--reporter=verbose', '--reporter=json', `--outputFile.json=${output}`]
    const child = spawn(process.execPath, [VITEST, ...words, `--testTimeout=${MOST_HOURS * 3_600_000}`], {
      cwd: REPOSITORY,
      env: { ...process.env, ...environment, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        if (line.trim() !== '') tell(line.trim().slice(0, LINE_CHARACTERS))
      })
    }
    const beat = setInterval(() => tell('…'), BEAT_MILLISECONDS)
    await once(child, 'close')
    clearInterval(beat)
    return existsSync(output) ? JSON.parse(readFileSync(output, 'utf8')) : null
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const LINE_CHARACTERS = 100
const BEAT_MILLISECONDS = 10_000

function minutes(start) {
  const seconds = Math.round((Date.now() - start) / 1000)
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
}
