// Packs every package, lints the tarballs, installs them into an empty project, and uses them there as a user would:
// by import, by require(), and through the type checker - including code that must not compile.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const work = mkdtempSync(join(tmpdir(), 'behalf-packed-'))
const project = join(work, 'project')
mkdirSync(project)
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Runs a program; its output is shown only when it fails. */
function run(program, args, options = {}) {
  try {
    return execFileSync(program, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...options })
  } catch (error) {
    process.stderr.write(`${error.stdout ?? ''}${error.stderr ?? ''}`)
    throw new Error(`failed: ${program} ${args.join(' ')}`)
  }
}

const say = (line) => process.stdout.write(`${line}\n`)
const bin = (name) => join(root, 'node_modules', '.bin', name)

try {
  const packages = readdirSync(join(root, 'packages')).map(
    (folder) => JSON.parse(readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8')).name,
  )
  const tarballs = packages.map((name) => {
    const [{ filename, files }] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', work, '-w', name]))
    const stray = files
      .map((file) => file.path)
      .filter((path) => !/^(dist\/.*\.(js|d\.ts)|package\.json|README\.md|LICENSE)$/.test(path))
    if (stray.length > 0) throw new Error(`${name} would publish ${stray.join(', ')}`)
    if (!files.some((file) => file.path === 'README.md')) throw new Error(`${name} has no README.md`)
    return join(work, filename)
  })
  for (const [index, name] of packages.entries()) {
    run(bin('publint'), ['run', tarballs[index], '--strict'])
    if (name !== 'behalf') run(bin('attw'), [tarballs[index], '--profile', 'esm-only']) // a command has nothing to import
    say(`packed  ${name}: publint ${name === 'behalf' ? 'is' : 'and attw are'} clean`)
  }

  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }))
  const own = [
    'express',
    'koa',
    'pino',
    '@opentelemetry/api',
    '@opentelemetry/api-logs',
    'typescript',
    '@types/node',
    '@types/express',
    '@types/koa',
  ]
  const peers = own.map((name) => `${name}@${manifest.devDependencies[name]}`)
  run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...tarballs, ...peers], { cwd: project })
  say('packed  the tarballs install into an empty project')

  const body = `
const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
const sink = memorySink()
for (const make of [expressServer, koaServer]) {
  const api = make({ issuers: [issuer.options()], delegation: [{ id: 'all', kind: 'delegation', actor: 'any', scopes: 'all' }], audit: { sinks: [sink] } })
  const context = await api.verify(issuer.token({ claims: { act: { sub: 'admin' } } }))
  if (context.kind !== 'delegation' || context.actor.id !== 'admin' || !hasScope(context, 'orders:read')) throw new Error('wrong context')
  const refused = await api.verify('not.a.token').catch((error) => error)
  if (!(refused instanceof AuthError) || refused.code !== 'token_malformed') throw new Error('two cores, or none')
  await api.close().catch(() => {})
}
if (typeof curity !== 'function' || typeof pinoSink !== 'function' || typeof redisReplay !== 'function' || typeof instrumentBehalf()() !== 'undefined') throw new Error('an export is missing')
await issuer.close()
const directory = mkdtempSync(join(tmpdir(), 'behalf-packed-journal-'))
const journal = journalSink({ directory, signingKey: null, commitDeadlineMilliseconds: 60_000 }) // a busy machine's disk is not what is tested
await journal.write(testEvent())
await journal.close()
const { verdict, findings } = await verifyJournal(directory, {})
if (verdict !== 'incomplete' || findings[0]?.code !== 'outcome_missing') throw new Error('the journal is ' + verdict)
if (toEcs(testEvent()).event.kind !== 'event') throw new Error('no mapping')
for (const each of [natsSink, postgresSink, auditLogSink]) if (typeof each !== 'function') throw new Error('a sink is missing')
rmSync(directory, { recursive: true })
`
  const names = [
    ['{ AuthError, hasScope }', '@behalf/core'],
    ['{ curity }', '@behalf/core/issuers'],
    ['{ resourceServer: expressServer }', '@behalf/express'],
    ['{ resourceServer: koaServer }', '@behalf/koa'],
    ['{ toEcs }', '@behalf/core/mappings'],
    ['{ journalSink, verifyJournal }', '@behalf/journal'],
    ['{ natsSink }', '@behalf/nats'],
    ['{ auditLogSink, instrumentBehalf }', '@behalf/opentelemetry'],
    ['{ pinoSink }', '@behalf/pino'],
    ['{ postgresSink }', '@behalf/postgres'],
    ['{ redisReplay }', '@behalf/redis'],
    ['{ createTestIssuer, memorySink, testEvent }', '@behalf/testing'],
    ['{ mkdtempSync, rmSync }', 'node:fs'],
    ['{ tmpdir }', 'node:os'],
    ['{ join }', 'node:path'],
  ]
  const imports = names.map(([what, from]) => `import ${what.replace(': ', ' as ')} from '${from}'`).join('\n')
  const requires = names.map(([what, from]) => `const ${what} = require('${from}')`).join('\n')
  writeFileSync(join(project, 'use.mjs'), imports + body)
  writeFileSync(join(project, 'use.cjs'), `${requires}\n;(async () => {${body}})()`)
  for (const file of ['use.mjs', 'use.cjs']) {
    run(process.execPath, ['--no-warnings', file], { cwd: project })
    say(`packed  ${file} runs on Node ${process.versions.node}`)
  }

  const help = run(join(project, 'node_modules', '.bin', 'behalf'), ['--help'], { cwd: project })
  if (!help.includes('audit')) throw new Error('the command has no help')
  const inspected = spawnSync(join(project, 'node_modules', '.bin', 'behalf'), ['inspect'], {
    cwd: project,
    input: 'not.a.token',
    encoding: 'utf8',
  })
  if (inspected.status === 0 || inspected.stderr.includes('    at '))
    throw new Error(`the command takes anything: ${inspected.stderr}`)
  say('packed  the command runs')

  const compilerOptions = {
    module: 'nodenext',
    target: 'es2023',
    strict: true,
    noEmit: true,
    exactOptionalPropertyTypes: true,
    types: ['node'],
    skipLibCheck: true,
  }
  const compile = (source) => {
    writeFileSync(join(project, 'use.ts'), source)
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }))
    return spawnSync(process.execPath, [join(project, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', '.'], {
      cwd: project,
      encoding: 'utf8',
    })
  }
  const good = `${imports}
import express from 'express'
import Koa from 'koa'
import '@behalf/express/request'
const issuer = await createTestIssuer()
const api = expressServer({ issuers: [issuer.options()], audit: { sinks: [memorySink()] } })
express().get('/orders/:id', api.authenticate(), api.guard({ scopes: 'orders:read' }), (req, res) => {
  const id: string = req.params.id
  res.json([id, req.auth.kind === 'direct' ? null : req.auth.actor.id, hasScope(req.auth, 'a')])
})
const koa = koaServer({ issuers: [curity({ issuer: 'https://a.example', audience: 'b' })] })
new Koa<{ user: string }>().use(koa.authenticate()).use((ctx) => { const user: string = ctx.state.user; ctx.body = [user, ctx.state.auth.subject.id] })
export const errors: AuthError[] = []
export { auditLogSink, instrumentBehalf, journalSink, natsSink, pinoSink, postgresSink, redisReplay, toEcs, verifyJournal }
`
  const compiled = compile(good)
  if (compiled.status !== 0) throw new Error(`a user's program does not compile:\n${compiled.stdout}`)
  say('packed  a typed program compiles')

  // All in one file, one on each line: a mistake must not pass for refused because something else on another line was.
  const mistakes = [
    [
      'a rule without scopes',
      `expressServer({ issuers: [], delegation: [{ id: 'a', kind: 'delegation', actor: 'any' }] })`,
      `expressServer({ issuers: [], delegation: [{ id: 'a', kind: 'delegation', actor: 'any', scopes: 'all' }] })`,
    ],
    [
      'a kind that does not exist',
      `expressServer({ issuers: [], delegation: [{ id: 'a', kind: 'direct', actor: 'any', scopes: 'all' }] })`,
      `expressServer({ issuers: [], delegation: [{ id: 'a', kind: 'impersonation', actor: 'any', scopes: 'all' }] })`,
    ],
    ['an unknown option', `koaServer({ issuers: [], auditing: 'none' })`, `koaServer({ issuers: [], audit: 'none' })`],
    [
      'an issuer without audience',
      `curity({ issuer: 'https://a.example' })`,
      `curity({ issuer: 'https://a.example', audience: 'a' })`,
    ],
    [
      'an undefined id',
      `expressServer({ issuers: [] }).guard({ subject: { id: undefined } })`,
      `expressServer({ issuers: [] }).guard({ subject: { id: 'a' } })`,
    ],
    [
      'a symmetric algorithm',
      `curity({ issuer: 'https://a.example', audience: 'a', algorithms: ['HS256'] })`,
      `curity({ issuer: 'https://a.example', audience: 'a', algorithms: ['ES256'] })`,
    ],
    [
      'an actor of a direct call',
      `expressServer({ issuers: [] }).verify('').then((context) => context.actor.id)`,
      `expressServer({ issuers: [] }).verify('').then((context) => context.actor?.id)`,
    ],
    [
      'writing to a context',
      `expressServer({ issuers: [] }).verify('').then((context) => { context.scopes.push('a') })`,
      `expressServer({ issuers: [] }).verify('').then((context) => { context.scopes.concat('a') })`,
    ],
  ]
  const head = imports.split('\n')
  const program = (lines) => compile([...head, ...lines, 'export {}'].join('\n'))

  const refused = program(mistakes.map(([, wrong]) => wrong))
  const errorLines = new Set([...refused.stdout.matchAll(/^use\.ts\((\d+),\d+\): error /gm)].map(([, line]) => Number(line)))
  const compiling = mistakes.filter((_, index) => !errorLines.has(head.length + index + 1)).map(([what]) => what)
  if (compiling.length > 0) throw new Error(`must not compile: ${compiling.join('; ')}`)
  if (errorLines.size > mistakes.length) throw new Error(`errors on lines that are right:\n${refused.stdout}`)

  const corrected = program(mistakes.map(([, , right]) => right))
  if (corrected.status !== 0) throw new Error(`a corrected mistake does not compile:\n${corrected.stdout}`)
  say(`packed  ${mistakes.length} mistakes do not compile, each for itself; corrected they do`)
} finally {
  rmSync(work, { recursive: true, force: true })
}
