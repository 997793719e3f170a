import { accessSync, constants, readdirSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, it } from 'vitest'

/** Programs that tests run themselves, and the Debian package that brings each. */
const DEBIAN_PACKAGES = {
  'nats-server': 'nats-server',
  postgres: 'postgresql',
  initdb: 'postgresql',
  openssl: 'openssl',
  'redis-server': 'redis-server',
} as const

/** A program that some tests need. */
export type Program = keyof typeof DEBIAN_PACKAGES

/** Where Debian puts servers beside what is on everybody's PATH. */
const SERVER_DIRECTORIES = ['/usr/sbin', '/usr/local/sbin']
const POSTGRES_VERSIONS = '/usr/lib/postgresql'

/** The path of a program: from PATH, or from where Debian puts servers, the newest PostgreSQL first. `null`: not installed. */
export function findProgram(program: Program): string | null {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '')
  const candidates = [...onPath, ...SERVER_DIRECTORIES, ...postgresDirectories()].map((directory) => join(directory, program))
  return candidates.find(isExecutable) ?? null
}

/**
 * A `describe` whose tests need a program: they are skipped, with one line that says why, where it is not installed. With `CI`
 * set in the environment they fail instead: a pipeline that tests nothing must not look green.
 */
export function describeWith(program: Program, name: string, tests: () => void): void {
  if (findProgram(program) !== null) {
    describe(name, tests)
    return
  }
  const why = `${program} is not installed (Debian: apt-get install ${DEBIAN_PACKAGES[program]})`
  if (process.env['CI']) {
    describe(name, () => {
      it(`needs ${program}`, () => {
        throw new Error(why)
      })
    })
    return
  }
  process.stderr.write(`skipped: ${name}: ${why}\n`)
  describe.skip(name, tests)
}

function postgresDirectories(): string[] {
  try {
    const versions = readdirSync(POSTGRES_VERSIONS).sort((one, other) => Number(other) - Number(one))
    return versions.map((version) => join(POSTGRES_VERSIONS, version, 'bin'))
  } catch {
    return []
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
