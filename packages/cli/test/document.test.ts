import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { EXIT } from '../src/exit-codes.js'
import { createProgram } from '../src/program.js'
import { metricsText } from '../src/ship/metrics-text.js'
import { createWorld, NOW } from './support/run-command.js'

const page = readFileSync(new URL('../../../docs/command.md', import.meta.url), 'utf8')

/** Every command that does something, by its whole name. */
function commandsOf(command: Command, before: readonly string[] = []): readonly (readonly [name: string, command: Command])[] {
  const inner = command.commands.filter((each) => each.name() !== 'help')
  if (inner.length === 0) return [[before.join(' '), command]]
  return inner.flatMap((each) => commandsOf(each, [...before, each.name()]))
}

const commands = commandsOf(createProgram({ terminal: createWorld().terminal, exit() {} }))

/** The page's chapter about a command. */
function chapterOf(name: string): string {
  return page.split(/^## /m).find((chapter) => chapter.startsWith(`${name}\n`)) ?? ''
}

describe('docs/command.md', () => {
  it('has a chapter about every command', () => {
    expect(commands.map(([name]) => name)).toEqual([
      'inspect',
      'audit verify',
      'audit show',
      'audit export',
      'audit ship',
      'audit checkpoint',
      'audit key',
    ])
    for (const [name] of commands) expect(chapterOf(name)).not.toBe('')
  })

  it.each(commands.map(([name, command]) => [name, command] as const))(
    'names every option of %s, and no other',
    (name, command) => {
      const chapter = chapterOf(name)
      const own = command.options.map(({ long }) => String(long))
      for (const option of own) expect(chapter).toContain(`\`${option}`)
      const rows = chapter.split('\n').filter((line) => line.startsWith('| `-'))
      const named = rows.flatMap((row) => [...(row.split(' | ')[0] ?? '').matchAll(/--[a-z-]+/g)].map(String))
      for (const option of named) expect(own).toContain(option)
    },
  )

  it('names every exit code', () => {
    const [, chapter = ''] = page.split('## Exit codes')
    const [table = ''] = chapter.split('\n## ')
    const codes = [...table.matchAll(/^\| ([\d, ]+) \|/gm)].flatMap(([, cell = '']) => cell.split(', ').map(Number))
    expect(codes).toEqual(Object.values(EXIT))
  })

  it('names every metric', () => {
    const progress = {
      delivered: 0,
      retries: 0,
      removed: 0,
      held: 0,
      nextSequence: 0,
      recordsBehind: 0,
      bytesBehind: 0,
      secondsBehind: 0,
      error: null,
    }
    const names = [...metricsText({ progress, acknowledgedAt: NOW }).matchAll(/^# TYPE behalf_ship(_\w+)/gm)].map(([, name]) =>
      String(name),
    )
    expect(names.length).toBeGreaterThan(5)
    for (const name of names) expect(chapterOf('audit ship')).toContain(name)
  })
})
