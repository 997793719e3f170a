import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigningKey, createTestIssuer, fixtures, signCompact, TEST_AUDIENCE, type TestIssuer } from '@behalf/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HOSTILE, isHarmless } from './support/hostile.js'
import { NOW, type Ran, runCommand, type World } from './support/run-command.js'

let issuer: TestIssuer
let directory: string
let keysFile: string

beforeAll(async () => {
  issuer = await createTestIssuer({ now: () => NOW, algorithms: ['EdDSA'] })
  directory = mkdtempSync(join(tmpdir(), 'behalf-inspect-'))
  keysFile = join(directory, 'keys.json')
  writeFileSync(keysFile, JSON.stringify(issuer.jwks()))
})

afterAll(async () => {
  await issuer.close()
  rmSync(directory, { recursive: true })
})

const inspect = (token: string, args: readonly string[] = [], world: World = {}): Promise<Ran> =>
  runCommand(['inspect', ...args], { input: `${token}\n`, ...world })
const json = (ran: Ran): Record<string, never> => JSON.parse(ran.out) as Record<string, never>
const named = (): string[] => ['--issuer', issuer.issuer, '--audience', TEST_AUDIENCE]

/** Header, claims and signature of a token, and the token: no output may hold one of them as it was written. */
function partsOf(token: string): readonly string[] {
  return [token, ...token.split('.').filter((part) => part.length > 10)]
}

describe('a token that nobody proved', () => {
  it('says so first, and ends with 3 where nothing else is wrong', async () => {
    const token = issuer.token({ claims: { act: { sub: 'support-1' } } })
    const { code, lines, err } = await inspect(token)
    expect(lines[0]).toBe('verified: false')
    expect(lines[1]).toContain('not checked')
    expect(lines[2]).toBe('not compared:  issuer, audience (give --issuer, --audience or --no-audience)')
    expect(lines.join('\n')).toMatch(/^kind: +delegation$/m)
    expect(lines.join('\n')).toContain(`subject:       user-1  (issuer ${issuer.issuer})`)
    expect(lines.join('\n')).toContain('actor:         support-1  (issuer not said)')
    expect(lines.join('\n')).toMatch(/^scopes: +orders:read orders:write$/m)
    expect(lines.join('\n')).toContain('2026-09-21T13:33:20.000Z (now)')
    expect(lines.join('\n')).toMatch(/^expires: .*\(in \d+ minutes\)$/m)
    expect(err).toBe('')
    expect(code).toBe(3)
  })

  it('says every reason why it would be refused, and ends with 1', async () => {
    const token = issuer.token({ header: { typ: 'JWT', alg: 'HS256' }, claims: { exp: NOW / 1000 - 60, act: { sub: '' } } })
    const { code, out } = await inspect(token)
    for (const reason of ['algorithm_refused', 'token_type_refused', 'token_expired', 'delegation_malformed'])
      expect(out).toContain(`401 ${reason}`)
    expect(out).toContain('[typ]; accepted: application/at+jwt')
    expect(out).toContain('(1 minute ago)')
    expect(code).toBe(1)
  })

  it('that says almost nothing is told as that', async () => {
    const { code, out } = await inspect('eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln')
    expect(out).toContain('401 algorithm_refused')
    expect(out).toContain('401 claim_missing        A required claim is missing [iss, exp, aud, client_id, iat, jti]')
    expect(out).not.toMatch(/accepted: \(not given\)|\n\n\n/)
    expect(code).toBe(1)
  })

  it('asks nobody: not the issuer that it names, nor jku, x5u or jwk', async () => {
    let asked = 0
    const server = createServer((_, response) => {
      asked++
      response.end('{}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const forged = createSigningKey('EdDSA')
    const token = signCompact(
      { alg: 'EdDSA', typ: 'at+jwt', jku: `${url}/jwks`, x5u: `${url}/x5u`, jwk: forged.jwk as never },
      JSON.stringify({ iss: url, sub: 'x', aud: TEST_AUDIENCE, client_id: 'c', iat: NOW / 1000, jti: 'j', exp: NOW / 1000 + 60 }),
      forged,
    )
    const answers = [
      await inspect(token),
      await inspect(token, ['--audience', TEST_AUDIENCE]),
      await inspect(token, ['--preset', 'curity', '--audience', TEST_AUDIENCE]),
      await inspect(token, ['--jwks', keysFile, '--audience', TEST_AUDIENCE]),
      await inspect(token, named()),
      await inspect(token, ['--offline', '--issuer', url, '--audience', TEST_AUDIENCE]),
    ]
    await new Promise((resolve) => server.close(resolve))
    expect(asked).toBe(0)
    expect(answers.map(({ code }) => code)).toEqual([3, 3, 1, 1, 1, 3])
    expect(answers.every(({ lines }) => lines[0] === 'verified: false')).toBe(true)
  })

  it('is no context in JSON either', async () => {
    const report = json(await inspect(issuer.token(), ['--json']))
    expect(Object.keys(report)[0]).toBe('verified')
    expect(report).toMatchObject({ verified: false, signature: 'not_checked', notCompared: ['issuer', 'audience'], refusals: [] })
    expect(report).toHaveProperty('unverifiedCaller.unverifiedSubject.id', 'user-1')
    for (const name of ['caller', 'claims', 'header', 'subject']) expect(report).not.toHaveProperty(name)
  })

  it.each([
    ['Bearer eyJ', (token: string) => `Bearer ${token}`],
    ['authorization: bearer eyJ', (token: string) => `authorization: bearer  ${token}\r\n`],
    ['"eyJ"', (token: string) => ` "${token}" `],
  ])('is found in %s', async (_, wrapped) => {
    expect((await inspect(wrapped(issuer.token()))).code).toBe(3)
  })

  it.each([
    ['a wrapped one', 'e30.e30\n.e30', 'white space'],
    ['a wrapped one without dots', '7fa81c\nopaque', 'white space'],
    ['one of two parts', 'e30.e30', 'Hint: it has 2 parts instead of three.'],
    ['one of six parts', 'e30.e30.e30.e30.e30.e30', 'it has 6 parts'],
    ['what it came in', '{"access_token":"7fa81c"}', 'was more copied than the token?'],
    ['what an encrypted one came in', '<e30.e30.e30.e30.e30>', 'was more copied than the token?'],
    [
      'a doubled member',
      signCompact({ alg: 'EdDSA' }, '{"sub":"a","sub":"b"}', createSigningKey('EdDSA')),
      'name a member twice',
    ],
    ['too long a one', `e30.${'e30'.repeat(6000)}.e30`, 'longer than 16384 bytes'],
    ['too long an opaque one', 'a'.repeat(16_385), 'longer than 16384 bytes'],
  ])('%s is malformed, with a hint', async (_, token, hint) => {
    const { code, out } = await inspect(token)
    expect(out).toMatch(/^verified: false$/m)
    expect(out).toContain('401 token_malformed')
    expect(out).toContain(hint)
    expect(code).toBe(1)
  })
})

describe('a token that only an API can read', () => {
  const OPAQUE =
    'it has 1 part instead of three: an opaque token. An API with introspection asks the issuer about it; this command asks nobody.'
  const ENCRYPTED = 'it has five parts, an encrypted token (JWE): an API with decryption opens it; this command does not.'

  it.each([
    ['an opaque token', '7fa81c-opaque', OPAQUE],
    ['the longest', 'a'.repeat(16_384), OPAQUE],
    ['one with padding', 'AbC/+~_-==', OPAQUE],
    ['an encrypted one', 'e30.e30.e30.e30.e30', ENCRYPTED],
    ['one that sends no key', 'e30..e30.e30.e30', ENCRYPTED],
  ])('is not checked, and no verdict: %s', async (_, token, hint) => {
    for (const args of [[], ['--jwks', keysFile, ...named()], ['--offline', ...named()]]) {
      const { code, lines, out, err } = await inspect(token, args)
      expect(lines[0]).toBe('verified: false')
      expect(lines[1]).toMatch(/^signature: +not checked/)
      expect(lines.at(-1)).toBe(`Hint: ${hint}`)
      expect(out).not.toMatch(/refused|malformed/)
      expect(err).toBe('')
      expect(code).toBe(3)
    }
    const ran = await inspect(token, ['--json'])
    expect(ran.code).toBe(3)
    expect(json(ran)).toMatchObject({ verified: false, signature: 'not_checked', refusals: [], unverifiedClaims: null })
  })

  it('asks nobody about it', async () => {
    const { metadata, jwks } = issuer.hits
    await inspect('7fa81c-opaque', named())
    await inspect('e30.e30.e30.e30.e30', named())
    expect(issuer.hits).toMatchObject({ metadata, jwks })
  })
})

describe('a token that is proved', () => {
  it('by a JWK set in a file', async () => {
    const { code, lines } = await inspect(issuer.token(), ['--jwks', keysFile, ...named()])
    expect(lines.slice(0, 2)).toEqual(['verified: true', 'signature:     holds, by a key of the issuer'])
    expect(lines.join('\n')).not.toMatch(/refus|not compared/)
    expect(code).toBe(0)
  })

  it('by the URL of one', async () => {
    const before = issuer.hits.jwks
    expect((await inspect(issuer.token(), ['--jwks', issuer.jwksUri, ...named()])).code).toBe(0)
    expect(issuer.hits.jwks).toBe(before + 1)
  })

  it('by the issuer’s metadata', async () => {
    const before = issuer.hits.metadata
    const report = await inspect(issuer.token({ claims: { act: { sub: 'support-1' } } }), [...named(), '--json'])
    expect(report.code).toBe(0)
    expect(json(report)).toMatchObject({
      verified: true,
      signature: 'holds',
      caller: { kind: 'delegation', subject: { id: 'user-1' }, actor: { id: 'support-1' } },
    })
    expect(issuer.hits.metadata).toBe(before + 1)
  })

  it('by keys alone is told as one whose issuer was not compared', async () => {
    const { code, out } = await inspect(issuer.token(), ['--jwks', keysFile, '--audience', TEST_AUDIENCE])
    expect(out).toContain('verified: true')
    expect(out).toContain('not compared:  issuer (give --issuer)')
    expect(code).toBe(0)
  })

  it('is not verified as long as nobody says whose API it is for', async () => {
    const { code, out } = await inspect(issuer.token(), ['--jwks', keysFile, '--issuer', issuer.issuer])
    expect(out).toContain('verified: false')
    expect(out).toContain('holds, by a key of the issuer')
    expect(out).toContain('not compared:  audience (give --audience or --no-audience)')
    expect(code).toBe(3)
  })

  it('can have no audience, where that is said', async () => {
    const token = issuer.token({ claims: { aud: undefined as never } })
    expect(
      (await inspect(token, ['--preset', 'curity', '--jwks', keysFile, '--issuer', issuer.issuer, '--no-audience'])).out,
    ).toContain('purpose')
    expect((await inspect(issuer.token(), ['--jwks', keysFile, '--issuer', issuer.issuer, '--no-audience'])).out).toContain(
      'audience_mismatch',
    )
  })

  it.each<[string, (token: string) => string, string, string]>([
    ['a signature of somebody else', (token) => `${token.slice(0, -8)}AAAAAAAA`, 'signature_invalid', 'does NOT hold'],
    [
      'a claim that was changed',
      (token) =>
        token.replace(/\.[^.]+\./, `.${Buffer.from(JSON.stringify({ ...claimsOf(token), sub: 'root' })).toString('base64url')}.`),
      'signature_invalid',
      'does NOT hold',
    ],
  ])('not with %s', async (_, change, reason, signature) => {
    const { code, lines, out } = await inspect(change(issuer.token()), ['--jwks', keysFile, ...named()])
    expect(lines[0]).toBe('verified: false')
    expect(out).toContain(signature)
    expect(out).toContain(`401 ${reason}`)
    expect(code).toBe(1)
  })

  it('not with a key that the issuer does not have', async () => {
    const token = issuer.token({ key: createSigningKey('EdDSA', { kid: 'other' }) })
    const { code, out } = await inspect(token, ['--jwks', keysFile, ...named()])
    expect(out).toContain('401 key_unknown')
    expect(code).toBe(1)
  })

  it('not where it is expired: its signature holds all the same', async () => {
    const { code, out } = await inspect(issuer.token({ claims: { exp: NOW / 1000 - 5 } }), ['--jwks', keysFile, ...named()])
    expect(out).toContain('holds, by a key')
    expect(out).toContain('401 token_expired')
    expect(code).toBe(1)
    expect(
      (
        await inspect(issuer.token({ claims: { exp: NOW / 1000 - 5 } }), [
          '--jwks',
          keysFile,
          ...named(),
          '--clock-tolerance',
          '6',
        ])
      ).code,
    ).toBe(0)
  })

  it('not where it is bound to a sender', async () => {
    const { code, out } = await inspect(issuer.token({ claims: { cnf: { jkt: 'x' } } }), ['--jwks', keysFile, ...named()])
    expect(out.match(/binding_unsupported/g)).toHaveLength(1)
    expect(code).toBe(1)
  })

  it('where the keys cannot be read, that is 69 and no verdict', async () => {
    const down = await createTestIssuer({ now: () => NOW, algorithms: ['EdDSA'] })
    down.fail(500)
    const { code, lines, out } = await inspect(down.token(), ['--issuer', down.issuer, '--audience', TEST_AUDIENCE])
    await down.close()
    expect(lines[0]).toBe('verified: false')
    expect(out).toContain('not checked: the keys cannot be read now')
    expect(code).toBe(69)
  })

  it('at Curity, Descope and Asgardeo as they document it', async () => {
    const of = (fixture: { header: object; claims: object }) => issuer.tokenOf(fixture as never)
    const curityArgs = [
      '--preset',
      'curity',
      '--jwks',
      keysFile,
      '--issuer',
      String(fixtures.curity.actAs.claims['iss']),
      '--audience',
      'test-web-api',
    ]
    const turned = await inspect(of(fixtures.curity.actAs), [...curityArgs, '--act-as'])
    expect(turned.code).toBe(0)
    expect(turned.out).toMatch(/^subject: +user123 /m)
    expect(turned.out).toMatch(/^actor: +admin /m)
    expect((await inspect(of(fixtures.curity.actAs), curityArgs)).out).toContain('delegation_foreign')

    const project = String(fixtures.descope.impersonated.claims['iss'])
    expect(
      (await inspect(of(fixtures.descope.impersonated), ['--preset', 'descope', '--jwks', keysFile, '--project-id', project]))
        .code,
    ).toBe(0)
    expect(
      (await inspect(of(fixtures.descope.refreshToken), ['--preset', 'descope', '--jwks', keysFile, '--project-id', project]))
        .code,
    ).toBe(1)

    const client = String(fixtures.asgardeo.impersonated.claims['client_id'])
    const asgardeoArgs = ['--preset', 'asgardeo', '--jwks', keysFile, '--organization', 'bifrost', '--client-id', client]
    expect((await inspect(of(fixtures.asgardeo.impersonated), asgardeoArgs)).code).toBe(0)
    const subjectToken = await inspect(of(fixtures.asgardeo.subjectToken), asgardeoArgs)
    expect(subjectToken.code).toBe(1)
    expect(subjectToken.out).toContain('token_type_refused')
    expect(subjectToken.out).toContain('[may_act]')
    expect((await inspect(of(fixtures.asgardeo.impersonated), asgardeoArgs.slice(0, -2))).out).toContain(
      'not compared:  client (give --client-id)',
    )
  })

  it('with a home-made scheme that a file describes', async () => {
    const file = join(directory, 'options.json')
    writeFileSync(
      file,
      JSON.stringify({ tokenTypes: ['at+jwt'], actor: { claim: 'impersonator', encoding: 'string' }, kind: 'impersonation' }),
    )
    const token = issuer.token({ claims: { impersonator: 'admin-9' } })
    const { code, out } = await inspect(token, ['--preset', 'custom', '--options', file, '--jwks', keysFile, ...named()])
    expect(out).toMatch(/^actor: +admin-9 /m)
    expect(code).toBe(0)
  })
})

describe('what an API asks, or opens, this command does not', () => {
  const file = (options: object) => {
    const path = join(directory, 'ways.json')
    writeFileSync(path, JSON.stringify(options))
    return path
  }
  const SECRET = 'a secret of tests'

  it.each([{}, { opaqueOnly: true }])('a JWT is proved, and not asked about: %j', async (more) => {
    let asked = 0
    const server = createServer((_, response) => {
      asked++
      response.setHeader('content-type', 'application/json').end('{"active":true}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/introspect`
    const authentication = { method: 'client_secret_basic', clientSecret: SECRET }
    const options = file({ introspection: { endpoint, clientId: 'api', authentication }, ...more })
    const args = ['--options', options, '--jwks', keysFile, ...named()]
    const good = await inspect(issuer.token(), args)
    const forged = await inspect(`${issuer.token().slice(0, -40)}${'A'.repeat(40)}`, args)
    await new Promise((resolve) => server.close(resolve))
    expect([good.code, forged.code, asked]).toEqual([0, 1, 0])
    expect(`${good.out}${forged.out}`).not.toContain(SECRET)
  })

  it('one that came out of an encrypted token is proved', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const options = file({ decryption: { keys: [privateKey.export({ format: 'jwk' })], algorithms: ['ECDH-ES'] } })
    const { code, out } = await inspect(issuer.token(), ['--options', options, '--jwks', keysFile, ...named()])
    expect(code).toBe(0)
    expect(out).not.toContain(String(privateKey.export({ format: 'jwk' }).d))
  })
})

describe('secrecy', () => {
  it('no output holds the token, a part of it, or a token within it', async () => {
    const inner = issuer.token({ claims: { sub: 'downstream' } })
    const token = issuer.token({ claims: { inner, deep: { list: [inner] }, sub: inner } })
    const runs = [
      await inspect(token),
      await inspect(token, ['--json']),
      await inspect(token, ['--jwks', keysFile, ...named()]),
      await inspect(`${token}x.y`, ['--json']),
      await inspect(token, ['--nonsense']),
      await runCommand(['inspect', token]),
      await runCommand([token]),
      await runCommand(['audit', token]),
      await runCommand(['inspect', `--audience`, TEST_AUDIENCE, '--jwks', token]),
      await runCommand(['inspect', '--preset', token], { input: token }),
    ]
    for (const { out, err } of runs) {
      for (const part of [...partsOf(token), ...partsOf(inner)]) {
        // The header alone is no secret, and the same in all tokens of a key.
        if (part !== token.split('.')[0]) expect(`${out}${err}`).not.toContain(part)
      }
    }
    expect(runs[0]?.out).toContain('(a token, not shown)')
  })

  it('a token on the command line is refused with the mend', async () => {
    const { code, err } = await runCommand(['inspect', 'secret-token'])
    expect(err).toBe("behalf: inspect takes no arguments: pipe the token in, as in 'behalf inspect < token.txt'\n")
    expect(code).toBe(64)
  })

  it.each(HOSTILE.map((text) => [JSON.stringify(text), text]))(
    'a claim that says %s cannot write to the terminal',
    async (_, text) => {
      const claims = {
        sub: text,
        act: { sub: text, email: text },
        [text]: text,
        scope: text,
        jti: text,
        client_id: text,
        aud: text,
      }
      const token = issuer.token({ claims, header: { typ: text, kid: text } })
      for (const args of [[], ['--json'], ['--jwks', keysFile, ...named()]]) {
        const { lines, err } = await inspect(token, args)
        expect(lines.length).toBeGreaterThan(0)
        expect([...lines, ...err.split('\n')].filter((line) => !isHarmless(line))).toEqual([])
      }
      const coloured = await inspect(token, [], { tty: true })
      expect(coloured.lines.filter((line) => !isHarmless(line, true))).toEqual([])
      expect(coloured.out).toContain('\u001b[31mverified: false')
    },
  )
})

describe('mistakes', () => {
  it.each<[string, string[], number, string]>([
    ['an unknown preset', ['--preset', 'okta'], 64, 'Allowed choices are oauth, curity, descope, asgardeo, custom'],
    ['an unknown option', ['--isuer', 'x'], 64, '(Did you mean --issuer?)'],
    ['a flag of another preset', ['--act-as'], 64, '--act-as goes with --preset curity'],
    ['a tolerance beyond the bounds', ['--clock-tolerance', '301'], 64, 'It must be a whole number from 0 to 300'],
    ['custom without its options', ['--preset', 'custom'], 64, 'custom() needs tokenTypes'],
    ['an issuer that is no URL, without keys', ['--issuer', 'not-a-url'], 64, 'give jwksUri or jwks'],
    ['keys over plain http', ['--jwks', 'http://as.example/keys'], 64, 'must be an https URL'],
    [
      'a file that is not there',
      ['--jwks', '/nonexistent/keys.json'],
      74,
      'cannot read the JWK set /nonexistent/keys.json: no such file or directory',
    ],
  ])('%s', async (_, args, exit, message) => {
    const { code, err, out } = await inspect(issuer.token(), args)
    expect(err).toMatch(/^behalf: [^\n]+\n$/)
    expect(err).toContain(message)
    expect(err).not.toMatch(/ {4}at /)
    expect(out).toBe('')
    expect(code).toBe(exit)
  })

  it('files with something else in them', async () => {
    const file = join(directory, 'other.json')
    writeFileSync(file, 'SECRET not json')
    const noJson = await inspect(issuer.token(), ['--jwks', file])
    expect(noJson).toMatchObject({ code: 64, err: `behalf: ${file} is no JSON, so it holds no JWK set\n` })
    writeFileSync(file, JSON.stringify({ keys: [{ ...issuer.key().jwk, d: 'SECRET' }] }))
    const secret = await inspect(issuer.token(), ['--jwks', file, ...named()])
    expect(secret.err).toContain('is a private or symmetric key')
    expect(secret.err).not.toContain('SECRET')
    expect(secret.code).toBe(64)
    writeFileSync(file, JSON.stringify({ isuer: 'x' }))
    expect((await inspect(issuer.token(), ['--options', file])).err).toContain('unknown member "isuer"')
  })

  it('nothing, or far too much, on standard input', async () => {
    expect((await inspect(' \n')).err).toContain('no token on standard input')
    expect((await inspect('x'.repeat(300_000))).err).toContain('that is no token')
    expect((await inspect('')).code).toBe(64)
  })

  it('a person at a terminal is told what is waited for', async () => {
    const { err, code } = await inspect(issuer.token(), [], { stdinTty: true })
    expect(err).toBe('behalf: reading a token from standard input; end it with Enter and Ctrl-D\n')
    expect(code).toBe(3)
  })
})

function claimsOf(token: string): object {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as object
}
