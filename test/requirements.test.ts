/** Requirements are data: `docs/requirements.md` and the titles of the tests say the same, checked in both directions. */
import { describe, expect, test } from 'vitest'
import { read, repositoryFiles } from './support/repository.js'

interface RequirementRow {
  readonly id: string
  readonly source: string
  readonly what: string
  readonly where: readonly string[]
}

const HEAD = '| id | source | what must hold | where it is shown |'

const rows: readonly RequirementRow[] = read('docs/requirements.md')
  .split('\n')
  .filter((line) => line.startsWith('| ') && line !== HEAD)
  .map((line) => {
    const [, id = '', source = '', what = '', where = ''] = line.split('|').map((cell) => cell.trim())
    return { id: id.replaceAll('`', ''), source, what, where: [...where.matchAll(/`([^`]+)`/g)].map(([, path = '']) => path) }
  })

/** Where a test begins, with its modifiers. */
const TEST = /\b(?:test|it)((?:\.\w+)*)(?=[<(])/g
/** The title of a plain test, right after its name, and of one with a table, after the table. */
const PLAIN_TITLE = /\(\s*(['"`])((?:(?!\1).)*)/y
const TABLE_TITLE = /\)\(\s*(['"`])((?:(?!\1).)*)/g
const LEADING_BRACKETS = /^(?:\[[^\]]+\] ?)+/
/** What is meant to be an id: it begins with a capital and has a hyphen. */
const ID = /\[([A-Z][\w.]*-[\w.-]+)\]/g

const testFiles = repositoryFiles()
  .filter((path) => /^(?:test|packages\/[^/]+\/test)\/.*\.test\.ts$/.test(path))
  .filter((path) => path !== 'test/requirements.test.ts') // the examples below are none
const cited: ReadonlyMap<string, ReadonlySet<string>> = new Map(testFiles.map((path) => [path, idsIn(read(path))]))
const everyCited = new Set([...cited.values()].flatMap((ids) => [...ids]))

/** Titles of the tests that run: a skipped test shows nothing. */
function titlesIn(source: string): readonly string[] {
  return [...source.matchAll(TEST)].flatMap(({ 0: begin, 1: modifiers = '', index }) => {
    if (/\.(?:skip|todo|skipIf|runIf|fails)\b/.test(modifiers)) return []
    const title = new RegExp(modifiers.includes('.each') ? TABLE_TITLE : PLAIN_TITLE)
    title.lastIndex = index + begin.length
    return title.exec(source)?.[2] ?? []
  })
}

function idsIn(source: string): ReadonlySet<string> {
  const brackets = titlesIn(source).map((title) => LEADING_BRACKETS.exec(title)?.[0] ?? '')
  return new Set(brackets.flatMap((each) => [...each.matchAll(ID)].map(([, id = '']) => id)))
}

describe('how titles are read', () => {
  test.each([
    ["test('[RFC1-2-a] x'", ['RFC1-2-a']],
    ["test('[RFC1-2-a] [RFC1-2-b] x'", ['RFC1-2-a', 'RFC1-2-b']],
    ["test.each(['x'])(\n  '[RFC1-2-a] %s'", ['RFC1-2-a']],
    ['test.each(rows)(`[RFC1-2-a] %s`', ['RFC1-2-a']],
    ["test.each<[string, Fetch]>([\n  ['a', b],\n])(\"[RFC1-2-a] the issuer's\"", ['RFC1-2-a']],
    ["test.each([f('a')])('x')\ntest('[RFC1-2-a] x'", ['RFC1-2-a']],
    ["test.skip('[RFC1-2-a] x'", []],
    ["test.skip.each(['x'])('[RFC1-2-a] %s'", []],
    ["test.todo('[RFC1-2-a] x'", []],
    ["describe('[RFC1-2-a] x'", []],
    ["// '[RFC1-2-a] x'", []],
    ["test('x [RFC1-2-a]'", []],
    ["test('[in-004] x'", []],
  ])('%j cites %j', (source, ids) => {
    expect([...idsIn(source)]).toEqual(ids)
  })
})

test('the table is there, and no line of it is empty', () => {
  expect(rows.length).toBeGreaterThan(100)
  for (const { id, source, what, where } of rows) {
    expect(id).toMatch(/^[A-Z][\w.]*-[\w.-]+$/)
    expect([source, what, where.join()], id).not.toContain('')
  }
})

test('ids are unique', () => {
  const ids = rows.map(({ id }) => id)
  expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([])
})

test('every requirement is cited by the title of a test', () => {
  expect(rows.map(({ id }) => id).filter((id) => !everyCited.has(id))).toEqual([])
})

test('every id that a title cites stands in the table', () => {
  const known = new Set(rows.map(({ id }) => id))
  expect([...everyCited].filter((id) => !known.has(id))).toEqual([])
})

test('every requirement names test files that are there and cite it', () => {
  const wrong = rows.flatMap(({ id, where }) =>
    where.filter((path) => !cited.get(path)?.has(id)).map((path) => `${id} is not in ${path}`),
  )
  expect(wrong).toEqual([])
})

test('an id by a standard begins with the source that its row names', () => {
  for (const { id, source } of rows) {
    const [, number, section] = /^RFC(\d+)-([\d.]+)/.exec(id) ?? []
    if (number !== undefined)
      expect(source, id).toMatch(new RegExp(`^RFC ${number}(?:bis)? ${section?.replaceAll('.', '\\.')}\\b`))
    else if (id.startsWith('BEHALF-')) expect(source, id).toBe('design')
  }
})
