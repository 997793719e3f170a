/** Client certificates: of the connection, and as proxies write them. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PROXY_HEADERS } from '../../../test/support/certificate-headers.js'
import { derOf, FIRST_CLIENT, RSA_CLIENT, SECOND_CLIENT, thumbprintOf } from '../../../test/support/certificates.js'
import { FUZZ_FACTOR, FUZZ_SEED, FUZZ_TIMEOUT } from '../../../test/support/fuzz-settings.js'
import { type CertificateForm, certificateOfConnection, certificateOfHeader } from '../src/binding/client-certificate.js'
import { ConfigError } from '../src/errors.js'
import { oauth } from '../src/issuers/index.js'
import type { RequestView } from '../src/request-view.js'
import { createResourceServer } from '../src/resource-server.js'

const EVERYBODY = { includes: () => true }
const NOBODY = { includes: () => false }

function requestWith(members: Partial<RequestView>): RequestView {
  return {
    ...{ method: 'GET', wireMethod: 'GET', path: '/', url: '/', route: null, authorization: [] },
    ...{ header: () => null, peer: '10.0.0.1', clientCertificate: null, raw: null, ...members },
  }
}

/** The thumbprint that is read of a field's value, or `null`. */
function read(form: CertificateForm, value: string | null, proxies = EVERYBODY): string | null {
  return certificateOfHeader(
    { header: 'client-cert', form },
    proxies,
  )(requestWith({ header: (name) => (name === 'client-cert' ? value : null) }))
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()
const thumbprint = (bytes: Uint8Array) => sha256(bytes).toString('base64url')
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
const pemOf = (bytes: Uint8Array, label = 'CERTIFICATE') =>
  `-----BEGIN ${label}-----\n${base64(bytes).replace(/.{64}(?=.)/g, '$&\n')}\n-----END ${label}-----\n`

/** Each way in which a form can be written. */
const WRITERS: readonly (readonly [name: string, form: CertificateForm, write: (der: Uint8Array) => string])[] = [
  ['rfc9440', 'rfc9440', (der) => `:${base64(der)}:`],
  ['pem, escaped', 'pem', (der) => encodeURIComponent(pemOf(der))],
  ['pem, with spaces', 'pem', (der) => pemOf(der).replaceAll('\n', ' ')],
  ['der', 'der', base64],
  ['xfcc, hash', 'xfcc', (der) => `By=spiffe://a/b;Hash=${sha256(der).toString('hex')};Subject="CN=a, O=b";URI=spiffe://a/c`],
  ['xfcc, certificate', 'xfcc', (der) => `Cert="${encodeURIComponent(pemOf(der))}"`],
  ['xfcc, both', 'xfcc', (der) => `Hash=${sha256(der).toString('hex')};Cert="${encodeURIComponent(pemOf(der))}"`],
  ['sha256, hexadecimal', 'sha256', (der) => sha256(der).toString('hex')],
  [
    'sha256, with colons',
    'sha256',
    (der) =>
      sha256(der)
        .toString('hex')
        .toUpperCase()
        .replace(/..(?=.)/g, '$&:'),
  ],
  ['sha256, base64', 'sha256', (der) => sha256(der).toString('base64')],
  ['sha256, base64url', 'sha256', (der) => sha256(der).toString('base64url')],
]

const FIRST = thumbprintOf(FIRST_CLIENT)
const DER = derOf(FIRST_CLIENT)
const PEM = FIRST_CLIENT.certificate
const HEX = sha256(DER).toString('hex')

describe('the connection', () => {
  test('shows its certificate, or none', () => {
    expect(certificateOfConnection(requestWith({ clientCertificate: DER }))).toBe(FIRST)
    expect(certificateOfConnection(requestWith({ clientCertificate: derOf(RSA_CLIENT) }))).toBe(thumbprintOf(RSA_CLIENT))
    expect(certificateOfConnection(requestWith({}))).toBeNull()
    expect(certificateOfConnection(requestWith({ header: () => `:${base64(DER)}:` }))).toBeNull()
  })
})

describe('a header', () => {
  test.each(PROXY_HEADERS)('of $proxy', ({ form, write }) => {
    for (const certificate of [FIRST_CLIENT, RSA_CLIENT]) {
      expect(read(form, write(certificate))).toBe(thumbprintOf(certificate))
      expect(read(form, `\t ${write(certificate)} `)).toBe(thumbprintOf(certificate))
      expect(read(form, write(certificate), NOBODY)).toBeNull()
    }
  })

  test('says nothing about the connection, nor the connection about it', () => {
    const source = certificateOfHeader({ header: 'client-cert', form: 'der' }, EVERYBODY)
    expect(source(requestWith({ clientCertificate: DER }))).toBeNull()
    expect(source(requestWith({ clientCertificate: derOf(SECOND_CLIENT), header: () => base64(DER) }))).toBe(FIRST)
  })

  test('is asked for by its name, and by the peer of the request', () => {
    const asked: (string | null)[] = []
    const source = certificateOfHeader({ header: 'x-cert', form: 'der' }, { includes: (peer) => asked.push(peer) > 0 })
    const header = (name: string) => (asked.push(name) > 0 ? base64(DER) : null)
    expect(source(requestWith({ peer: '192.0.2.7', header }))).toBe(FIRST)
    expect(asked).toEqual(['192.0.2.7', 'x-cert'])
  })

  test.each(WRITERS)('that is not there, empty or a word is nobody’s certificate: %s', (_name, form) => {
    for (const value of [
      null,
      '',
      ' ',
      '-',
      '(null)',
      'null',
      'NONE',
      '::',
      ':',
      '=',
      '==',
      ':=:',
      '"',
      '""',
      '%',
      '%20',
      'MIIB',
    ]) {
      const expected = form === 'der' && value === 'MIIB' ? thumbprint(Buffer.from('MIIB', 'base64')) : null
      expect(read(form, value), String(value)).toBe(expected)
    }
  })

  test.each<[string, CertificateForm, string]>([
    ...WRITERS.flatMap(([name, form, write]): [string, CertificateForm, string][] =>
      [', ', ',', ';', ' ', '\t', '\n', '%0A', '%2C%20'].map((between) => [
        `${name}, two of them, ${JSON.stringify(between)} between`,
        form,
        `${write(derOf(FIRST_CLIENT))}${between}${write(derOf(SECOND_CLIENT))}`,
      ]),
    ),
    // rfc9440
    ['no colons', 'rfc9440', base64(DER)],
    ['one colon', 'rfc9440', `:${base64(DER)}`],
    ['three colons', 'rfc9440', `::${base64(DER)}:`],
    ['spaces in it', 'rfc9440', `: ${base64(DER)} :`],
    ['a space in it', 'rfc9440', `:${base64(DER).slice(0, 40)} ${base64(DER).slice(40)}:`],
    ['a string', 'rfc9440', `"${base64(DER)}"`],
    ['an inner list', 'rfc9440', `(:${base64(DER)}:)`],
    ['something after it', 'rfc9440', `:${base64(DER)}:a`],
    ['base64url', 'rfc9440', `:${DER.toString('base64url').replace(/^MI/, 'M_')}:`],
    ['PEM', 'rfc9440', `:${encodeURIComponent(PEM)}:`],
    ['no certificate', 'rfc9440', `:${base64(Buffer.from('certificate'))}:`],
    // der
    ['percent-encoded colons', 'der', `%3A${base64(DER)}%3A`],
    ['PEM', 'der', encodeURIComponent(PEM)],
    ['a line break', 'der', `${base64(DER).slice(0, 64)}\n${base64(DER).slice(64)}`],
    ['padding inside', 'der', `${base64(DER).slice(0, 8)}=${base64(DER).slice(8)}`],
    ['too much padding', 'der', `${base64(DER)}===`],
    ['bits too many at the end', 'der', 'MB=='],
    ['a lone character at the end', 'der', 'MIIBA'],
    ['base64url', 'der', `${base64(DER).slice(0, 8)}-_${base64(DER).slice(10)}`],
    ['a key', 'der', base64(Buffer.from('04deadbeef', 'hex'))],
    // pem
    ...['TRUSTED CERTIFICATE', 'X509 CERTIFICATE', 'CERTIFICATE REQUEST', 'PUBLIC KEY', 'PKCS7', 'certificate', ''].map(
      (label): [string, CertificateForm, string] => [`the label "${label}"`, 'pem', encodeURIComponent(pemOf(DER, label))],
    ),
    ['no label', 'pem', base64(DER)],
    ['no end', 'pem', PEM.split('-----END')[0] ?? ''],
    ['another end', 'pem', PEM.replace('END CERTIFICATE', 'END PUBLIC KEY')],
    ['another beginning', 'pem', PEM.replace('BEGIN CERTIFICATE', 'BEGIN TRUSTED CERTIFICATE')],
    ['no beginning', 'pem', PEM.replace('-----BEGIN CERTIFICATE-----', '')],
    ['text before it', 'pem', `subject=CN=a\n${PEM}`],
    ['text after it', 'pem', `${PEM}x`],
    ['a chain', 'pem', `${PEM}${SECOND_CLIENT.certificate}`],
    ['an escaped chain', 'pem', encodeURIComponent(`${PEM}${SECOND_CLIENT.certificate}`)],
    ['a header in it', 'pem', PEM.replace('-----\n', '-----\nProc-Type: 4,ENCRYPTED\n\n')],
    ['nothing in it', 'pem', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----'],
    ['escaped twice', 'pem', encodeURIComponent(encodeURIComponent(PEM))],
    ...['%', '%4', '%zz', '%E0%A4%A', '%C0%AF', '%ff', '%00'].map((end): [string, CertificateForm, string] => [
      `${end} at its end`,
      'pem',
      `${encodeURIComponent(PEM)}${end}`,
    ]),
    ['a plus for a space', 'pem', PEM.replaceAll('\n', '+').replaceAll(' ', '+')],
    // sha256
    ['a digit too few', 'sha256', HEX.slice(1)],
    ['a digit too many', 'sha256', `${HEX}0`],
    ['no hexadecimal digit', 'sha256', `g${HEX.slice(1)}`],
    ['a prefix', 'sha256', `sha256:${HEX}`],
    ['another prefix', 'sha256', `SHA256 Fingerprint=${HEX}`],
    ['the digest of SHA-1', 'sha256', createHash('sha1').update(DER).digest('hex')],
    ['the digest of SHA-512', 'sha256', createHash('sha512').update(DER).digest('hex')],
    ['too much padding', 'sha256', `${sha256(DER).toString('base64')}=`],
    ['colons where none belong', 'sha256', `:${HEX}::`],
    ['colons between some', 'sha256', `${HEX.slice(0, 2)}:${HEX.slice(2)}`],
    ['bits too many at the end', 'sha256', `${'A'.repeat(42)}B`],
    ['two alphabets', 'sha256', `+-${'A'.repeat(41)}`],
    // xfcc
    ['no digest and no certificate', 'xfcc', 'By=spiffe://a/b;URI=spiffe://a/c'],
    ['a digest that is none', 'xfcc', 'Hash=abc'],
    ['an empty digest', 'xfcc', 'Hash='],
    ['a chain alone', 'xfcc', `Chain="${encodeURIComponent(PEM)}"`],
    ['a certificate as DER', 'xfcc', `Cert="${base64(DER)}"`],
    ['two digests that differ', 'xfcc', `Hash=${HEX};Hash=${sha256(derOf(SECOND_CLIENT)).toString('hex')}`],
    ['a digest of another certificate', 'xfcc', `Hash=${HEX};Cert="${encodeURIComponent(SECOND_CLIENT.certificate)}"`],
    ['a digest beside a broken certificate', 'xfcc', `Hash=${HEX};Cert="%"`],
    ['a broken digest beside a certificate', 'xfcc', `Hash=;Cert="${encodeURIComponent(PEM)}"`],
    ['an element before it', 'xfcc', `By=spiffe://a/b,Hash=${HEX}`],
    ['an element after it', 'xfcc', `Hash=${HEX},By=spiffe://a/b`],
    ['a quote that stays open', 'xfcc', `Hash=${HEX};Subject="CN=a`],
    ['a quote that its text closes', 'xfcc', `Hash=${HEX};Subject="CN="a"`],
    ['a digest within quotes of another', 'xfcc', `Subject="Hash=${HEX}"`],
    ['a digest within an escaped quote', 'xfcc', `Subject="\\";Hash=${HEX};X=\\""`],
    ['something without a value', 'xfcc', `Hash=${HEX};By`],
    ['a space before the name', 'xfcc', `By=a; Hash=${HEX}`],
    ['a name that is none', 'xfcc', `Ha-sh=${HEX}`],
    ['another digest', 'xfcc', `Hash1=${HEX}`],
    ['nothing between', 'xfcc', `By="a"Hash=${HEX}`],
  ])('is refused: %s, as %s', (_what, form, value) => {
    expect(read(form, value)).toBeNull()
  })

  test.each<[string, CertificateForm, string]>([
    ['no padding', 'rfc9440', `:${base64(DER).replace(/=+$/, '')}:`],
    ['a parameter, of which none is defined', 'rfc9440', `:${base64(DER)}:;a=1`],
    ['no padding', 'der', base64(DER).replace(/=+$/, '')],
    ['carriage returns', 'pem', encodeURIComponent(PEM.replaceAll('\n', '\r\n'))],
    ['one line', 'pem', `-----BEGIN CERTIFICATE-----${base64(DER)}-----END CERTIFICATE-----`],
    ['tabs, as old proxies wrote them', 'pem', PEM.replaceAll('\n', '\t')],
    ['escapes in lower case', 'pem', encodeURIComponent(PEM).replace(/%../g, (each) => each.toLowerCase())],
    ['names in lower case', 'xfcc', `hash=${HEX};cert="${encodeURIComponent(PEM)}"`],
    ['quotes around a digest', 'xfcc', `Hash="${HEX}"`],
    ['a certificate without quotes', 'xfcc', `Cert=${encodeURIComponent(PEM)};By=a`],
    ['the same digest twice', 'xfcc', `Hash=${HEX};Hash=${HEX.toUpperCase()}`],
  ])('is read: %s, as %s', (_what, form, value) => {
    expect(read(form, value)).toBe(FIRST)
  })
})

/** Bytes that begin as DER of a certificate does; most are too short or too strange to be one, which is not looked at. */
const certificates = fc
  .uint8Array({ minLength: 1, maxLength: 400 })
  .map((bytes) => Buffer.concat([Buffer.from([0x30, 0x82]), bytes]))

const characters = fc.constantFrom(
  ...[
    '',
    'A',
    'z',
    '0',
    '9',
    '+',
    '/',
    '-',
    '_',
    '=',
    ':',
    ';',
    ',',
    ' ',
    '\t',
    '\n',
    '%',
    '%0A',
    '%2B',
    '"',
    '\\',
    '\u00e9',
    '\u0000',
  ],
)

const mutations = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 3 }), characters), { minLength: 1, maxLength: 3 })

type Mutation = readonly [at: number, remove: number, insert: string]

const mutate = (text: string, edits: readonly Mutation[]) =>
  edits.reduce((each, [at, remove, insert]) => {
    const place = at % (each.length + 1)
    return each.slice(0, place) + insert + each.slice(place + remove)
  }, text)

const settings = { numRuns: 500 * FUZZ_FACTOR, seed: FUZZ_SEED }

/** What two texts of one certificate may differ in. */
const essence = (text: string) => {
  try {
    return decodeURIComponent(text.trim())
      .replace(/\s/g, '')
      .replace(/=+(?=$|:$|:;|"|-)/, '')
      .replace(/:;.*$/, ':')
  } catch {
    return text
  }
}

describe.each(WRITERS)('any certificate as %s', (_name, form, write) => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(certificates, (der) => {
        expect(read(form, write(der))).toBe(thumbprint(der))
      }),
      settings,
    )
  })

  test(
    'is not read as another one after a change, nor as itself where the change says something',
    () => {
      fc.assert(
        fc.property(certificates, mutations, (der, edits) => {
          const text = write(der)
          const changed = mutate(text, edits)
          const result = read(form, changed)
          if (result !== thumbprint(der)) return
          // Read as the same certificate: then the text says the same, or the digest that is read was not touched.
          const same = form === 'sha256' || form === 'xfcc' ? digestsIn(changed, der) : essence(changed) === essence(text)
          expect(same, changed).toBe(true)
        }),
        settings,
      )
    },
    FUZZ_TIMEOUT,
  )

  test(
    'says nothing about one of two',
    () => {
      const between = fc.array(characters, { maxLength: 3 }).map((each) => each.join(''))
      fc.assert(
        fc.property(certificates, certificates, between, (one, other, text) => {
          fc.pre(!one.equals(other))
          const result = read(form, `${write(one)}${text}${write(other)}`)
          expect([thumbprint(one), thumbprint(other)]).not.toContain(result)
        }),
        settings,
      )
    },
    FUZZ_TIMEOUT,
  )
})

/** Whether a text holds the digest of a certificate, in some writing, or the certificate. */
function digestsIn(text: string, der: Uint8Array): boolean {
  const digest = sha256(der)
  const plain = essence(text)
  return [
    digest.toString('hex'),
    digest.toString('base64').replace(/=$/, ''),
    digest.toString('base64url'),
    base64(der).replace(/=+$/, ''),
  ].some((each) => plain.includes(each) || plain.toLowerCase().replaceAll(':', '').includes(each))
}

describe('the option mtls', () => {
  const issuers = [oauth({ issuer: 'https://as.example.test', audience: 'api', mtls: 'allow' })]
  const create = (options: object) => () => createResourceServer({ issuers, ...options } as never)
  const named = { header: 'Client-Cert', form: 'rfc9440' }
  const trustedProxies = ['10.0.0.0/8']

  test.each<[string, unknown, RegExp]>([
    ['null', null, /mtls must be an object/],
    ['a word', 'allow', /mtls must be an object/],
    ['a list', [], /mtls must be an object/],
    ['undefined', undefined, /mtls is undefined/],
    ['an unknown member', { certificates: 'connection' }, /mtls has an unknown member "certificates"/],
    ['another word', { certificate: 'header' }, /mtls\.certificate must be 'connection', or name a header and its form/],
    ['an undefined source', { certificate: undefined }, /mtls\.certificate is undefined/],
    ['no object', { certificate: 7 }, /mtls\.certificate must be an object/],
    ['a list of sources', { certificate: ['connection'] }, /mtls\.certificate must be an object/],
    ['no header', { certificate: { form: 'pem' } }, /mtls\.certificate\.header must be a non-empty string/],
    ['an empty header', { certificate: { ...named, header: '' } }, /mtls\.certificate\.header must be a non-empty string/],
    ['two headers', { certificate: { ...named, header: ['a', 'b'] } }, /mtls\.certificate\.header must be a non-empty string/],
    ['a header that is no name', { certificate: { ...named, header: 'Client Cert' } }, /mtls\.certificate\.header is no name/],
    ['a pseudo-header', { certificate: { ...named, header: ':path' } }, /mtls\.certificate\.header is no name/],
    ['a header with a line break', { certificate: { ...named, header: 'a\nb' } }, /mtls\.certificate\.header is no name/],
    [
      'no form',
      { certificate: { header: 'a' } },
      /mtls\.certificate\.form must be one of 'rfc9440', 'pem', 'der', 'xfcc', 'sha256'/,
    ],
    ['another form', { certificate: { ...named, form: 'PEM' } }, /mtls\.certificate\.form must be one of/],
    ['a form of objects', { certificate: { ...named, form: 'toString' } }, /mtls\.certificate\.form must be one of/],
    ['an unknown member of it', { certificate: { ...named, trust: true } }, /mtls\.certificate has an unknown member "trust"/],
  ])('is refused: %s', (_what, mtls, message) => {
    expect(create({ mtls, trustedProxies })).toThrow(ConfigError)
    expect(create({ mtls, trustedProxies })).toThrow(message)
  })

  test('needs trustedProxies for a header, and for nothing else', () => {
    expect(create({ mtls: { certificate: named } })).toThrow(/mtls\.certificate is read from a header: .* in trustedProxies/)
    expect(create({ mtls: { certificate: named } })).toThrow(ConfigError)
    for (const options of [
      {},
      { mtls: {} },
      { mtls: { certificate: 'connection' } },
      { mtls: { certificate: named }, trustedProxies },
      { mtls: { certificate: 'connection' }, trustedProxies },
    ])
      expect(create(options)).not.toThrow()
  })

  test.each(['rfc9440', 'pem', 'der', 'xfcc', 'sha256'])('knows the form %s', (form) => {
    expect(create({ mtls: { certificate: { header: "X!#$%&'*+-.^_`|~1", form } }, trustedProxies })).not.toThrow()
  })

  test.each([
    ['allowed', /mtls must be one of 'off', 'allow', 'require'/],
    [true, /mtls must be one of/],
    [null, /mtls must be one of/],
    [undefined, /mtls is undefined/],
  ])('of an issuer is not %j', (mtls, message) => {
    const issuer = { issuer: 'https://as.example.test', audience: 'api', mtls }
    expect(() => createResourceServer({ issuers: [oauth(issuer as never)] })).toThrow(ConfigError)
    expect(() => createResourceServer({ issuers: [oauth(issuer as never)] })).toThrow(message)
  })
})
