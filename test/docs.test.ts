import { generateKeyPairSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { AuthError, DEFAULT_LIMITS, type IssuerOptions, type JsonObject, REFUSAL_CODES } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import * as testing from '@behalf/testing'
import { createTestIssuer, memorySink, type TestIssuer, testContext } from '@behalf/testing'
import request from 'supertest'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import * as contextSnippet from '../docs/snippets/context.js'
import * as endingSnippet from '../docs/snippets/ending.js'
import * as expressSnippet from '../docs/snippets/express.js'
import * as forwardSnippet from '../docs/snippets/forward.js'
import * as opaqueSnippet from '../docs/snippets/opaque.js'
import * as publicPaths from '../docs/snippets/public-paths.js'
import * as securityEventsSnippet from '../docs/snippets/security-events.js'
import * as systemsSnippet from '../docs/snippets/systems.js'
import * as testingSnippet from '../docs/snippets/testing.js'
import * as testingTokensSnippet from '../docs/snippets/testing-tokens.js'
import * as upgradeSnippet from '../docs/snippets/upgrade.js'
import * as vendors from '../docs/snippets/vendors.js'
import { DELEGATION_MARKERS, pathName } from '../packages/core/src/delegation/markers.js'
import { assertValidEvent, auditEventSchema } from './support/audit-schema.js'
import { basesOf, membersOf } from './support/interfaces.js'
import { anchorsOf, codeIn, fencesOf, linksOf, tableBelow } from './support/markdown.js'
import { ROOT, read, repositoryFiles } from './support/repository.js'

const files = repositoryFiles()
const pages = files.filter((file) => file.endsWith('.md'))
const snippetFiles = files.filter((file) => /^docs\/snippets\/.+\.ts$/.test(file))

describe('snippets', () => {
  /** Region of a snippet file, less the indentation that all of its lines share. */
  function region(file: string, name: string): string {
    const found = new RegExp(`^ *// #region ${name}\\n([\\s\\S]*?)^ *// #endregion ${name}$`, 'm').exec(read(file))?.[1]
    if (found === undefined) throw new Error(`${file} has no region ${name}`)
    const lines = found.trimEnd().split('\n') // the formatter likes a blank line before exports
    const indent = Math.min(...lines.filter((line) => line !== '').map((line) => line.search(/\S/)))
    return lines.map((line) => `${line.slice(indent)}\n`).join('')
  }
  const typed = pages.flatMap((page) =>
    fencesOf(read(page))
      .filter(({ language }) => language === 'ts')
      .map((fence) => ({ page, ...fence })),
  )

  test('there are some', () => expect(typed.length).toBeGreaterThan(15))

  test.each(typed)('$page: $marker is a region of a file that compiles', ({ marker, text }) => {
    const [, file = '', name = ''] = /^snippet: ([\w-]+\.ts)#([\w-]+)$/.exec(marker ?? '') ?? []
    expect(text).toBe(region(`docs/snippets/${file}`, name))
  })

  test('every region is shown somewhere', () => {
    const regions = snippetFiles.flatMap((file) =>
      [...read(file).matchAll(/\/\/ #region ([\w-]+)/g)].map(([, name]) => `snippet: ${posix.basename(file)}#${name}`),
    )
    expect(regions.filter((each) => !typed.some(({ marker }) => marker === each))).toEqual([])
  })
})

describe('snippets do what the pages say', () => {
  const context = testContext({ kind: 'impersonation', subject: 'user-1', actor: 'support-1', scopes: ['orders:cancel'] })

  test('context.ts', () => {
    expect(contextSnippet.describe(context)).toBe(
      '[null,"sub","support-1"] is calling for ["https://as.example.test","sub","user-1"], admitted by test',
    )
    expect(contextSnippet.describe(testContext())).toMatch(/ is calling$/)
    expect(contextSnippet.mayCancel(context)).toBe(true)
    expect(contextSnippet.mayCancel(testContext())).toBe(false)
  })

  test('express.ts refuses a call without a token', async () => {
    const { status, headers } = await request(expressSnippet.app).get('/orders')
    expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer'])
  })

  test('public-paths.ts: health, catalogue and preflight are open, orders are not', async () => {
    const { app } = publicPaths
    await request(app).get('/health').expect(200)
    await request(app).get('/catalogue').expect(200, { prices: 'list' })
    await request(app).get('/catalogue').set('authorization', 'Bearer a b').expect(400)
    await request(app).get('/orders').expect(401)
    await request(app).options('/invoices').expect(204)
    await request(app).get('/invoices').expect(401)
  })

  test('forward.ts keeps the challenge', async () => {
    const { status, headers, body } = await request(forwardSnippet.app).get('/')
    expect([status, headers['www-authenticate'], body.code]).toEqual([401, 'Bearer', 'credentials_missing'])
  })

  test('testing.ts: support reads and does not write; keys come and go', async () => {
    await testingSnippet.supportLooksAndDoesNotWrite()
    await testingSnippet.keysComeAndGo()
  })

  test('testing.ts: the app that is tested lets the user write, and asks for a token', async () => {
    const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
    const app = testingSnippet.createApp(issuer.options({ kind: 'impersonation' }), memorySink())
    await request(app).post('/orders').auth(issuer.token(), { type: 'bearer' }).expect(201)
    await request(app).get('/orders').expect(401)
    await issuer.close()
  })

  test('testing.ts: a documented token leaves its outcome', async () => {
    expect(await testingSnippet.documentedTokens()).toMatchObject({ rule: 'support-looks', result: 'completed' })
  })

  test('testing.ts names who acts without a server', () => expect(testingSnippet.handlerTest()).toContain('support-1'))

  describe('testing.ts: the file sink keeps the contract', () => testingSnippet.fileSinkKeepsTheContract(test))

  test('systems.ts is a configuration', () => {
    expect(() => resourceServer({ issuers: systemsSnippet.issuers })).not.toThrow()
  })

  test('rules.ts, koa.ts, audit.ts and sink.ts are created without a ConfigError', async () => {
    for (const name of ['rules', 'koa', 'audit', 'sink'])
      await expect(import(`../docs/snippets/${name}.ts`)).resolves.toBeDefined()
  })

  test('ending.ts ends tokens, and asks a function', async () => {
    await expect(endingSnippet.endSome()).resolves.toBeUndefined()
    const options = {
      issuers: [oauth({ issuer: 'https://as.example.com', audience: 'https://api.example.com', claims: { grant: 'grant_id' } })],
    }
    expect(() => resourceServer({ ...options, revocation: { checks: endingSnippet.asked } })).not.toThrow()
  })

  test('opaque.ts takes private keys, and security-events.ts receives', async () => {
    const key = JSON.stringify(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }))
    expect(() => resourceServer({ issuers: opaqueSnippet.issuersWith(key, key) })).not.toThrow()
    await request(securityEventsSnippet.app).get('/security-events').expect(404)
    await request(securityEventsSnippet.app).post('/security-events').type('application/secevent+jwt').send('x').expect(400)
  })

  test('security-events-koa.ts receives, too', async () => {
    const { app } = await import('../docs/snippets/security-events-koa.js')
    await request(app.callback()).get('/security-events').expect(404)
    await request(app.callback()).post('/security-events').type('application/secevent+jwt').send('x').expect(400)
  })

  test('decryption-key.ts makes a key that a server takes', async () => {
    const said = vi.spyOn(console, 'log').mockImplementation(() => {})
    await import('../docs/snippets/decryption-key.js')
    const [secret, shown] = said.mock.calls.map(([, jwk]) => JSON.parse(String(jwk)) as JsonObject)
    said.mockRestore()
    const decryption = { keys: [secret as JsonObject], algorithms: ['ECDH-ES+A256KW' as const] }
    const issuer = oauth({ issuer: 'https://as.example.com', audience: 'https://api.example.com', decryption })
    expect(() => resourceServer({ issuers: [issuer] })).not.toThrow()
    expect([shown?.['kid'], shown?.['d']]).toEqual([secret?.['kid'], undefined])
  })

  test('testing-tokens.ts: opaque and encrypted tokens, status lists and security events', async () => {
    await testingTokensSnippet.opaqueTokens()
    await testingTokensSnippet.encryptedTokens()
    await testingTokensSnippet.statusLists()
    await testingTokensSnippet.securityEvents()
  })

  test('upgrade.ts takes no delegated call', async () => {
    const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
    const api = resourceServer({ issuers: [issuer.options()] })
    const upgrade = (token: string) => ({ headers: { authorization: `Bearer ${token}` } }) as never
    await expect(upgradeSnippet.callerOf(api, upgrade(issuer.token()))).resolves.toMatchObject({ kind: 'direct' })
    const delegated = issuer.token({ claims: { act: { sub: 'support-1' } } })
    await expect(upgradeSnippet.callerOf(api, upgrade(delegated))).rejects.toThrow('delegated')
    await expect(upgradeSnippet.callerOf(api, { headers: {} } as never)).rejects.toMatchObject({ code: 'token_malformed' })
    await issuer.close()
  })
})

describe('vendors.ts reads what the vendors write', () => {
  let issuer: TestIssuer
  beforeAll(async () => {
    issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
  })
  afterAll(() => issuer.close())

  const allVendors: Readonly<Record<string, IssuerOptions>> = { ...vendors }
  const UNNAMED = { id: null }
  const session = (type: string) => ({ 'https://stytch.com/session': { authentication_factors: [{ type }] } })
  const agent = { aud: '22222222-2222-2222-2222-222222222222', azp: 'agent-app', scp: 'Files.Read', idtyp: 'user' }
  const table: readonly [vendor: string, typ: string | undefined, claims: object, expected: object | string][] = [
    [
      'auth0',
      'at+jwt',
      { act: { sub: 'mcp1', act: { sub: 'spa1' } }, azp: 'mcp1' },
      { kind: 'delegation', actor: { id: 'mcp1' } },
    ],
    ['auth0', 'at+jwt', { gty: 'client-credentials' }, { kind: 'direct', subject: { type: 'client' } }],
    ['auth0Legacy', 'JWT', { impersonator: { user_id: 'a' } }, { kind: 'impersonation', actor: { id: 'a', idClaim: 'user_id' } }],
    ['keycloak', 'JWT', { typ: 'Bearer', act: { sub: 'a' } }, { kind: 'impersonation', actor: { id: 'a' } }],
    ['keycloak', 'JWT', { typ: 'Bearer', act: { sub: 'a', client_id: 'b' } }, { kind: 'delegation', actor: { id: 'a' } }],
    ['keycloak', 'JWT', { typ: 'Refresh' }, 'claim_invalid'],
    ['keycloak', 'JWT', { typ: 'Bearer', act: '{"sub":"a"}' }, 'delegation_malformed'],
    [
      'clerk',
      'JWT',
      { aud: undefined, azp: 'https://app.example.com', sid: 's', act: { sub: 'a' } },
      { kind: 'impersonation', grantId: 's' },
    ],
    ['clerk', 'JWT', { aud: undefined, azp: 'https://app.example.com', sts: 'pending' }, 'claim_invalid'],
    ['clerk', 'JWT', { aud: undefined, azp: 'https://else.example.com' }, 'claim_invalid'],
    ['propelauth', undefined, { aud: undefined, impersonator_user_id: 'a' }, { kind: 'impersonation', actor: { id: 'a' } }],
    ['abp', 'at+jwt', { impersonator_userid: 'a', impersonator_tenantid: 't' }, { actor: { id: 'a', tenant: 't' } }],
    ['abp', 'at+jwt', { impersonator_tenantid: 't' }, 'delegation_malformed'],
    ['foxids', 'JWT', { act: '{"sub":"c_client"}' }, { kind: 'delegation', actor: { id: 'c_client' } }],
    ['foxids', 'JWT', { act: '"{\\"sub\\":\\"c_client\\"}"' }, 'delegation_malformed'],
    [
      'hydra',
      'JWT',
      { scp: ['read'], ext: { act: { sub: 'a' } } },
      { kind: 'delegation', actor: { id: 'a' }, tokenScopes: ['read'] },
    ],
    ['stytch', 'JWT', session('impersonated'), { kind: 'impersonation', actor: UNNAMED }],
    ['stytch', 'JWT', session('magic_link'), { kind: 'direct' }],
    ['stytch', 'JWT', { 'https://stytch.com/session': null }, 'delegation_malformed'],
    [
      'entra',
      'JWT',
      { ...agent, xms_act_fct: '3 11' },
      { kind: 'delegation', actor: { id: 'agent-app', type: 'client', profiles: ['ai_agent'] } },
    ],
    ['entra', 'JWT', { ...agent, xms_act_fct: '111 1' }, { kind: 'direct' }],
    ['entra', 'JWT', { ...agent, xms_act_fct: '11', idtyp: 'app' }, { kind: 'direct', subject: { type: 'client' } }],
  ]

  test.each(table)('%s, typ %s: %j', async (vendor, typ, claims, expected) => {
    const { jwksUri: _, ...options } = allVendors[vendor] ?? expect.fail(`no snippet for ${vendor}`)
    const api = resourceServer({ issuers: [{ ...options, jwks: issuer.jwks() }] })
    const token = issuer.token({ header: { typ }, claims: { iss: options.issuer, aud: options.audience, ...claims } as never })
    if (typeof expected === 'string') await expect(api.verify(token)).rejects.toMatchObject({ code: expected })
    else await expect(api.verify(token)).resolves.toMatchObject(expected)
  })

  test('every vendor is among them', () => {
    expect(new Set(table.map(([vendor]) => vendor))).toEqual(new Set(Object.keys(allVendors)))
  })
})

describe('links', () => {
  const links = pages.flatMap((page) => linksOf(read(page)).map((target) => ({ page, target })))
  const outside = /^[a-z]+:/

  test('there are some', () => expect(links.length).toBeGreaterThan(40))

  test.each(links.filter(({ target }) => !outside.test(target)))('$page → $target', ({ page, target }) => {
    const [path = '', anchor] = target.split('#')
    const file = path === '' ? page : posix.join(posix.dirname(page), path)
    expect(existsSync(join(ROOT, file)), `${file} does not exist`).toBe(true)
    if (anchor !== undefined) expect(anchorsOf(read(file))).toContain(anchor)
  })

  test('lead outside by https only', () => {
    expect(links.filter(({ target }) => outside.test(target) && !target.startsWith('https://'))).toEqual([])
  })
})

describe('docs/errors.md', () => {
  const rows = read('docs/errors.md')
    .split('\n')
    .filter((line) => /^\| `\w+` \| \d/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()))

  test('lists exactly the codes there are, in their order', () => {
    expect(rows.map(([, code]) => codeIn(code))).toEqual(REFUSAL_CODES)
  })

  test.each(REFUSAL_CODES)('%s: status and challenge', (code) => {
    const { status, challenge } = new AuthError(code)
    const [, , saidStatus, saidChallenge] = rows.find(([, each]) => codeIn(each) === code) ?? []
    const error = challenge === null ? 'none' : (/error="([^"]+)"/.exec(challenge)?.[1] ?? 'bare')
    expect([Number(saidStatus), codeIn(saidChallenge) || saidChallenge]).toEqual([status, error])
  })

  test('shows a real answer', async () => {
    const { headers, code, message, status } = new AuthError('actor_unauthorized')
    const [shown] = fencesOf(read('docs/errors.md')).filter(({ language }) => language === 'http')
    expect(shown?.text).toContain(`WWW-Authenticate: ${headers['www-authenticate']}\n`)
    const body = JSON.parse(shown?.text.split('\n\n')[1] ?? '') as unknown
    expect(body).toEqual({ type: 'about:blank', title: 'Forbidden', status, code, detail: message })
  })
})

describe('docs/configuration.md', () => {
  const page = read('docs/configuration.md')
  const markers = [...page.matchAll(/^<!-- members: (\S+) (.+) -->$/gm)].map(([, file = '', anchor = '']) => ({ file, anchor }))

  test('has a table for every list of members in the sources', () => {
    const listing = files.filter(
      (file) => /^packages\/core\/src\/.+\.ts$/.test(file) && /const (?:ISSUER_)?MEMBERS\b/.test(read(file)),
    )
    expect(markers.filter(({ anchor }) => anchor.startsWith('const ')).map(({ file }) => `packages/core/src/${file}`)).toEqual(
      expect.arrayContaining(listing),
    )
    expect(listing).toHaveLength(9)
  })

  test.each(markers)('names every member of $file, $anchor', ({ file, anchor }) => {
    const source = read(`packages/core/src/${file}`)
    const from = source.indexOf(anchor)
    expect(from, `${file} has no "${anchor}"`).not.toBe(-1)
    const list = /\[\s*('[^\]]+')/.exec(source.slice(from))?.[1] ?? ''
    const members = [...list.matchAll(/'(\w+)'/g)].map(([, name]) => name)
    const named = tableBelow(page, `members: ${file} ${anchor}`).map(([name]) => codeIn(name))
    expect(named.toSorted()).toEqual(members.toSorted())
  })

  test('docs/audit-journal.md names every option of the journal', () => {
    const members = membersOf(read('packages/journal/src/write/journal-options.ts'), 'JournalOptions')?.map(({ path }) => path)
    const named = tableBelow(read('docs/audit-journal.md'), 'interface: journal-options.ts JournalOptions')
    expect(named.flatMap(([cell = '']) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name)).toSorted()).toEqual(
      members?.toSorted(),
    )
  })

  test('names every limit with its default', () => {
    const said = tableBelow(page, 'limits').map(([name, value]) => [codeIn(name), Number(value)])
    expect(Object.fromEntries(said)).toEqual(DEFAULT_LIMITS)
  })
})

describe('docs/testing.md', () => {
  const page = read('docs/testing.md')
  const index = read('packages/testing/src/index.ts')
  const markers = [...page.matchAll(/^<!-- interface: (\S+) (\w+) -->$/gm)].map(([, file = '', name = '']) => ({ file, name }))

  test('names every public export', () => {
    const types = [...index.matchAll(/\btype (\w+)/g)].map(([, name = '']) => name)
    const exported = [...Object.keys(testing), ...types]
    expect(exported.length).toBeGreaterThan(20)
    expect(exported.filter((name) => !new RegExp(`\`${name}\\b`).test(page))).toEqual([])
  })

  test('has a table for the options of all that is created', () => {
    expect(markers.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'TestIssuerOptions',
        'TestIssuer',
        'TokenOverrides',
        'TestContextOptions',
        'MemorySink',
        'SigningKey',
      ]),
    )
  })

  test.each(markers)('names every member of $name', ({ file, name }) => {
    const members = membersOf(read(`packages/testing/src/${file}`), name)?.map(({ path }) => path)
    const named = tableBelow(page, `interface: ${file} ${name}`).map(([cell]) => codeIn(cell).replace(/\(.*/, ''))
    expect(named.toSorted()).toEqual(members?.toSorted())
  })

  test('names every kind of trouble', () => {
    const [, words = ''] = /export type Trouble = number \| (.+)/.exec(read('packages/testing/src/test-issuer.ts')) ?? []
    const named = tableBelow(page, 'troubles').map(([cell]) => codeIn(cell))
    expect(named).toEqual(['500', ...words.split(' | ')])
  })

  test('names every fixture', () => {
    const all = Object.entries(testing.fixtures).flatMap(([system, tokens]) =>
      Object.keys(tokens).map((name) => `${system}.${name}`),
    )
    expect(tableBelow(page, 'fixtures').map(([cell]) => codeIn(cell))).toEqual(all)
  })
})

test('docs/architecture.md has a line for every file of the core', () => {
  const [, rooms = ''] = read('docs/architecture.md').split('## Rooms of the core\n')
  let room = ''
  const named = rooms
    .split('\n## ')[0]
    ?.split('\n')
    .filter((line) => line.startsWith('|') && line.includes('.ts`'))
    .flatMap((line) => {
      const [, place = '', cell = ''] = line.split('|').map((each) => each.trim())
      if (place !== '') room = codeIn(place)
      return [...cell.matchAll(/`([\w-]+\.ts)`/g)].map(([, file]) => `packages/core/src/${room}${file}`)
    })
  expect(named?.toSorted()).toEqual(files.filter((file) => file.startsWith('packages/core/src/')))
})

test('docs/delegation.md lists exactly the foreign markers', () => {
  const named = tableBelow(read('docs/delegation.md'), 'markers').map(([name]) => codeIn(name))
  expect(named).toEqual(DELEGATION_MARKERS.map(pathName))
})

describe('docs/audit-events.md', () => {
  const page = read('docs/audit-events.md')

  test('describes every field of the schema', () => {
    const fields = Object.entries(auditEventSchema.properties).flatMap(([name, { properties }]) =>
      properties === undefined ? [name] : Object.keys(properties).map((inner) => `${name}.${inner}`),
    )
    const described = [...page.matchAll(/^\| `([\w.]+)` \|/gm)].map(([, field = '']) => field)
    expect(fields.filter((field) => !described.includes(field))).toEqual([])
  })

  test('shows events that are valid', () => {
    const shown = fencesOf(page).filter(({ language }) => language === 'json')
    expect(shown).toHaveLength(2)
    for (const { text } of shown) assertValidEvent(JSON.parse(text))
  })
})

describe('every public export has a doc comment', () => {
  const entries = [
    ...['index', 'issuers/index', 'adapter', 'inspect', 'mappings/index', 'sink-kit'].map(
      (name) => `packages/core/src/${name}.ts`,
    ),
    ...['express', 'journal', 'koa', 'nats', 'opentelemetry', 'pino', 'postgres', 'testing'].map(
      (name) => `packages/${name}/src/index.ts`,
    ),
    'packages/express/src/request.ts',
  ]

  /** Names that a file exports, each with the file that declares it. Exports are listed one by one here, never by `*`. */
  function exportsOf(file: string): readonly (readonly [name: string, file: string])[] {
    const source = read(file)
    const elsewhere = [...source.matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)'/gm)].flatMap(
      ([, names = '', from = '']) =>
        names
          .split(',')
          .map((name) => name.replace(/\btype /, '').trim())
          .filter((name) => name !== '')
          .map((name) => [name, posix.join(dirname(file), from.replace(/\.js$/, '.ts'))] as const),
    )
    const here = [...source.matchAll(/^export (?:async )?(?:const|function|class|interface|type) (\w+)/gm)]
    return [...elsewhere, ...here.map(([, name = '']) => [name, file] as const)]
  }

  /** The line above the first declaration of a name, comments for tools left out. */
  function lineAbove(name: string, file: string): string | undefined {
    const lines = read(file).split('\n')
    const declared = new RegExp(`^export (?:declare )?(?:async )?(?:const|function|class|interface|type) ${name}\\b`)
    const at = lines.findIndex((line) => declared.test(line))
    if (at === -1) throw new Error(`${file} does not declare ${name}`)
    return lines.slice(0, at).findLast((line) => !line.startsWith('// '))
  }

  test('exports are listed one by one', () => {
    for (const entry of entries) expect(read(entry)).not.toMatch(/^export \*/m)
  })

  test.each(entries)('%s', (entry) => {
    const undocumented = exportsOf(entry).filter(([name, file]) => !lineAbove(name, file)?.endsWith('*/'))
    expect(undocumented.map(([name, file]) => `${name} (${file})`)).toEqual([])
  })

  test('the entries export something', () => {
    expect(entries.flatMap(exportsOf).length).toBeGreaterThan(60)
  })

  /** Interfaces that an entry exports, with those of the same file that they extend. */
  const interfaces = [
    ...new Set(
      entries.flatMap(exportsOf).flatMap(([name, file]) => {
        const bases = basesOf(read(file), name).filter((base) => membersOf(read(file), base) !== null)
        return membersOf(read(file), name) === null ? [] : [name, ...bases].map((each) => `${each} ${file}`)
      }),
    ),
  ]

  test('the entries export interfaces', () => {
    expect(interfaces.length).toBeGreaterThan(40)
    expect(interfaces).toContain('ContextMembers packages/core/src/delegation/context.ts')
    expect(interfaces).toContain('TokenOverrides packages/testing/src/test-issuer.ts')
  })

  test.each(interfaces)('and so has every member of %s', (each) => {
    const [name = '', file = ''] = each.split(' ')
    const undocumented = membersOf(read(file), name)?.filter(({ documented }) => !documented)
    expect(undocumented?.map(({ path }) => path)).toEqual([])
  })
})

test('no file is left half done', () => {
  const mark = new RegExp(`\\b(?:${['TO', 'FIX'].map((word) => `${word}${word === 'TO' ? 'DO' : 'ME'}`).join('|')})\\b`)
  const text = files.filter((file) => /\.(?:ts|js|mjs|json|md|yml)$|^\.ci\//.test(file) && file !== 'package-lock.json')
  expect(text.length).toBeGreaterThan(100)
  expect(text.filter((file) => mark.test(read(file)))).toEqual([])
})
