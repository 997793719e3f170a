// Runs the self-check of every example, and tells how each went. What one of them prints is shown only when it fails.
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PATIENCE_MILLISECONDS = 60_000

const examples = join(dirname(fileURLToPath(import.meta.url)), '..', 'examples')
const names = readdirSync(examples, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

/** The `check` script of an example. It must be a plain `node …` line: run without npm or a shell, a hanging one can be ended whole. */
function checkOf(name) {
  const { scripts } = JSON.parse(readFileSync(join(examples, name, 'package.json'), 'utf8'))
  const [program, ...args] = scripts?.check?.split(' ') ?? []
  if (program !== 'node') throw new Error(`examples/${name}/package.json needs a script "check" of the form "node …"`)
  return args
}

/** @returns why the check failed, or `null`, and what it has printed */
function run(name) {
  return new Promise((resolve) => {
    // A process group of its own, so that its children end with it.
    const child = spawn(process.execPath, checkOf(name), {
      cwd: join(examples, name),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
    })
    let output = ''
    let late = false
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
    const end = () => {
      if (process.platform === 'win32') child.kill('SIGKILL')
      else process.kill(-child.pid, 'SIGKILL')
    }
    const timer = setTimeout(() => {
      late = true
      end()
    }, PATIENCE_MILLISECONDS)
    const interrupted = () => {
      end()
      process.exit(130)
    }
    process.once('SIGINT', interrupted)
    child.once('error', (error) => {
      output += `${error.message}\n`
    })
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      process.removeListener('SIGINT', interrupted)
      const failure = late ? `ended after ${PATIENCE_MILLISECONDS / 1000} s` : code === 0 ? null : `exit ${code ?? signal}`
      resolve({ failure, output })
    })
  })
}

if (names.length === 0) throw new Error('there are no examples')
for (const name of names) {
  const startedAt = performance.now()
  const { failure, output } = await run(name)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  process.stdout.write(`example  ${name.padEnd(18)} ${failure ?? 'ok'}  ${seconds} s\n`)
  if (failure !== null) {
    process.stderr.write(output)
    process.exitCode = 1
  }
}
