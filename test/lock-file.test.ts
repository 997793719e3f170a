/** The lock file serves every platform and every npm, and names no registry but the public one. */
import { expect, test } from 'vitest'
import { read } from './support/repository.js'

interface LockedPackage {
  readonly version?: string
  readonly resolved?: string
  readonly link?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const { packages } = JSON.parse(read('package-lock.json')) as { readonly packages: Readonly<Record<string, LockedPackage>> }

/** What a package finds under a name: in its own folder, or in that of one of its parents. */
function found(from: string, name: string): LockedPackage | undefined {
  const parents = from
    .split('/node_modules/')
    .map((_, index, parts) => parts.slice(0, parts.length - index).join('/node_modules/'))
  return [...parents.map((parent) => `${parent}/node_modules/${name}`), `node_modules/${name}`]
    .map((place) => packages[place])
    .find((each) => each !== undefined)
}

const wanted = Object.entries(packages).flatMap(([place, { optionalDependencies = {} }]) =>
  Object.entries(optionalDependencies).map(([name, range]) => ({ place, name, range })),
)

// npm leaves out what its own platform does not need, if it is let; `npm ci` then fails on every other one.
test('every optional dependency is locked, for platforms other than that of the last install too', () => {
  expect(wanted.filter(({ place, name }) => found(place, name) === undefined)).toEqual([])
  for (const system of ['linux', 'darwin', 'win32']) {
    expect(wanted.filter(({ name }) => name.includes(system)).length, system).toBeGreaterThan(0)
  }
})

test('an optional dependency that is wanted in one version is locked in that version', () => {
  const exact = wanted.filter(({ range }) => /^\d+\.\d+\.\d+/.test(range))
  const locked = exact.map(({ place, name }) => `${name}@${found(place, name)?.version}`)
  expect(locked).toEqual(exact.map(({ name, range }) => `${name}@${range}`))
  expect(exact.length).toBeGreaterThan(0)
})

test('what is not a workspace comes from the public registry, and from nowhere else', () => {
  const sources = Object.values(packages).filter(({ resolved }) => resolved !== undefined)
  const elsewhere = sources.filter(({ resolved = '', link }) =>
    link === true ? packages[resolved] === undefined : !resolved.startsWith('https://registry.npmjs.org/'),
  )
  expect(elsewhere).toEqual([])
  expect(sources.length).toBeGreaterThan(0)
  expect(read('package-lock.json').match(/https?:\/\/(?!registry\.npmjs\.org\/)[^"]*\.tgz/g)).toBeNull()
})
