import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Checkpoint,
  formatCheckpoint,
  type ParsedNote,
  parseCheckpoint,
  parseNote,
  signNote,
  verifyNote,
} from '../src/format/checkpoint.js'
import { isKeyName, keyIdOf, parseVerifierKey, verifierKeyText } from '../src/format/verifier-key.js'
import { JOURNAL, ORIGIN, SIGNING_KEY, testSigningKey, VERIFIER_KEY } from './support/journal-builder.js'

// Keys and notes with which golang.org/x/mod/sumdb/note is tested.
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const ENOCH = 'EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop'
const PETER_SEED = 'YEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz'
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
const PETER_LINE = '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n'
const ENOCH_LINE = '— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n'

/** The note of C2SP's tlog-checkpoint. */
const C2SP_CHECKPOINT =
  'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n' +
  '— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n'

function ed25519Of(seed: Buffer): KeyObject {
  return createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]),
    format: 'der',
    type: 'pkcs8',
  })
}

function noteOf(text: string): ParsedNote {
  const note = parseNote(text)
  if (note === null) throw new Error('no note')
  return note
}

const CHECKPOINT: Checkpoint = {
  origin: ORIGIN,
  size: 4711,
  root: createHash('sha256').update('root').digest(),
  from: 4000,
  head: createHash('sha256').update('head').digest('base64url'),
  journal: JOURNAL,
  time: '2026-09-21T13:33:20.118Z',
}
const FORMATTED = formatCheckpoint(CHECKPOINT)

describe('the published notes', () => {
  it('are signed to the byte', () => {
    const key = ed25519Of(Buffer.from(`A${PETER_SEED}`, 'base64').subarray(1))
    expect(signNote(TEXT, 'PeterNeumann', key)).toBe(`${TEXT}\n${PETER_LINE}`)
    expect(verifierKeyText('PeterNeumann', key)).toBe(PETER)
    expect(verifierKeyText('PeterNeumann', createPublicKey(key))).toBe(PETER)
  })

  it('are verified, whoever else signed', () => {
    const both = noteOf(`${TEXT}\n${PETER_LINE}${ENOCH_LINE}`)
    expect(both.text).toBe(TEXT)
    expect(both.signatures.map(({ name }) => name)).toEqual(['PeterNeumann', 'EnochRoot'])
    for (const key of [PETER, ENOCH]) expect(verifyNote(both, parseVerifierKey(key))).toBe(true)
    expect(verifyNote(noteOf(`${TEXT}\n${ENOCH_LINE}`), parseVerifierKey(PETER))).toBe(false)
  })

  it.each([
    ['no blank line', TEXT],
    ['a signature line without its newline', `${TEXT}\n${PETER_LINE.slice(0, -1)}`],
    ['a control character', `\u0001${TEXT}\n${PETER_LINE}`],
    ['a key name with a space', `${TEXT}\n${PETER_LINE.replace('PeterNeumann', 'Bad Name')}`],
    ['a further line', `${TEXT}\n${PETER_LINE}Unexpected line.\n`],
    ['101 signatures', `${TEXT}\n${PETER_LINE.repeat(101)}`],
  ])('are not read with %s', (_, note) => {
    expect(parseNote(note)).toBeNull()
  })

  it('include the one of tlog-checkpoint, of which ours is an extension', () => {
    const { text, signatures } = noteOf(C2SP_CHECKPOINT)
    expect(text.split('\n')).toHaveLength(4)
    expect(signatures).toHaveLength(1)
    expect(FORMATTED.split('\n').slice(0, 3)).toEqual([ORIGIN, '4711', CHECKPOINT.root.toString('base64')])
    expect(parseCheckpoint(text)).toBeNull() // without range, head, journal and time it is not one of ours
  })
})

describe('notes', () => {
  const signed = signNote(FORMATTED, ORIGIN, SIGNING_KEY)

  it('are read back, signed or not', () => {
    expect(noteOf(signed).text).toBe(FORMATTED)
    expect(verifyNote(noteOf(signed), VERIFIER_KEY)).toBe(true)
    expect(parseNote(`${FORMATTED}\n`)).toEqual({ text: FORMATTED, signatures: [] })
    expect(verifyNote(noteOf(`${FORMATTED}\n`), VERIFIER_KEY)).toBe(false)
  })

  it('do not hold when any character of text, name or signature is another', () => {
    for (let at = 0; at < signed.length; at++) {
      const edited = `${signed.slice(0, at)}${signed[at] === 'A' ? 'B' : 'A'}${signed.slice(at + 1)}`
      const note = parseNote(edited)
      expect(note !== null && verifyNote(note, VERIFIER_KEY), `at ${at}: ${edited}`).toBe(false)
    }
  })

  it('do not hold under another key of the same name, nor the same key under another name', () => {
    const other = signNote(FORMATTED, ORIGIN, testSigningKey(8))
    const renamed = signNote(FORMATTED, 'other.example.test', SIGNING_KEY)
    expect(verifyNote(noteOf(other), VERIFIER_KEY)).toBe(false)
    expect(verifyNote(noteOf(renamed), VERIFIER_KEY)).toBe(false)
    expect(verifyNote(noteOf(renamed), { ...VERIFIER_KEY, name: null })).toBe(true)
  })

  it('do not hold where one of two lines of the key does not', () => {
    const [, line = ''] = signed.split('\n\n')
    const bytes = Buffer.from(line.split(' ')[2] ?? '', 'base64')
    bytes[20] = (bytes[20] as number) ^ 1
    expect(verifyNote(noteOf(`${signed}— ${ORIGIN} ${bytes.toString('base64')}\n`), VERIFIER_KEY)).toBe(false)
    expect(verifyNote(noteOf(`${signed}${line}`), VERIFIER_KEY)).toBe(true)
  })

  it.each([
    ['base64 that is not canonical', `${FORMATTED}\n— a AAAAAB==\n`],
    ['no more than a key id', `${FORMATTED}\n— a AAAAAA==\n`],
    ['a hyphen for the dash', signed.replace('—', '-')],
    ['two spaces', signed.replace('— ', '—  ')],
    ['a carriage return', signed.replace(/\n$/, '\r\n')],
    ['a lone surrogate', signed.replace('—', '\ud800')],
    ['nothing but signatures', `\n— ${ORIGIN} AAAAAAA=\n`],
    ['nothing', ''],
  ])('are not read with %s', (_, note) => {
    expect(parseNote(note)).toBeNull()
  })

  it('are not signed where verifiers would not read them', () => {
    expect(() => signNote('no newline', ORIGIN, SIGNING_KEY)).toThrow(TypeError)
    expect(() => signNote('a\u0000b\n', ORIGIN, SIGNING_KEY)).toThrow(TypeError)
    expect(() => signNote(FORMATTED, 'a name', SIGNING_KEY)).toThrow(TypeError)
    expect(() => signNote(FORMATTED, ORIGIN, createPublicKey(SIGNING_KEY))).toThrow(TypeError)
    expect(() => signNote(FORMATTED, ORIGIN, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)).toThrow(TypeError)
  })

  it('never make the parser throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const note = parseNote(text)
        return note === null || note.text.endsWith('\n')
      }),
    )
  })
})

describe('checkpoints', () => {
  it('are read back', () => {
    expect(parseCheckpoint(FORMATTED)).toEqual(CHECKPOINT)
    expect(parseCheckpoint(formatCheckpoint({ ...CHECKPOINT, from: 0, size: 1 }))).toMatchObject({ from: 0, size: 1 })
  })

  const line = (n: number, text: string): string => FORMATTED.split('\n').with(n, text).join('\n')
  it.each([
    ['no origin', line(0, '')],
    ['a size with a leading zero', line(1, '04711')],
    ['a size with a sign', line(1, '+4711')],
    ['a size beyond the safe integers', formatCheckpoint({ ...CHECKPOINT, size: 2 ** 53 })],
    ['a root of 31 bytes', formatCheckpoint({ ...CHECKPOINT, root: CHECKPOINT.root.subarray(1) })],
    ['a root in base64url', line(2, `${CHECKPOINT.root.toString('base64url')}=`).replace('/', '_')],
    ['a root whose last bits are not zero', line(2, `${'A'.repeat(42)}B=`)],
    ['a range to another size', line(3, 'range 4000 4712')],
    ['a range from its own size', formatCheckpoint({ ...CHECKPOINT, from: 4711 })],
    ['a range from beyond its size', formatCheckpoint({ ...CHECKPOINT, from: 4712 })],
    ['nothing covered', formatCheckpoint({ ...CHECKPOINT, from: 0, size: 0 })],
    ['a head of 42 characters', line(4, `head ${CHECKPOINT.head.slice(1)}`)],
    ['a journal that is no UUID', line(5, 'journal 1')],
    ['a journal in capitals', line(5, `journal ${JOURNAL.toUpperCase()}`)],
    ['a time without milliseconds', line(6, 'time 2026-09-21T13:33:20Z')],
    ['a time that no calendar has', line(6, 'time 2026-02-30T13:33:20.000Z')],
    ['a further line', `${FORMATTED}more\n`],
    ['a line less', line(6, '').replace('\n\n', '\n')],
    ['no newline at its end', FORMATTED.slice(0, -1)],
    ['a control character', line(0, 'a\tb')],
    ['lines in another order', line(4, line(5, '').split('\n')[4] ?? '').replace('range', 'head')],
  ])('are not read with %s', (_, text) => {
    expect(parseCheckpoint(text)).toBeNull()
  })

  it('are read only where writing them again gives the same text, whatever was changed', () => {
    const change = fc.record({
      at: fc.nat({ max: FORMATTED.length }),
      count: fc.nat({ max: 2 }),
      by: fc.string({ maxLength: 3 }),
    })
    fc.assert(
      fc.property(change, ({ at, count, by }) => {
        const text = FORMATTED.slice(0, at) + by + FORMATTED.slice(at + count)
        const checkpoint = parseCheckpoint(text)
        return checkpoint === null || formatCheckpoint(checkpoint) === text
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('verifier keys', () => {
  const pem = createPublicKey(SIGNING_KEY).export({ type: 'spki', format: 'pem' }) as string

  it('are read as text and as PEM, with white space around them', () => {
    const text = verifierKeyText(ORIGIN, SIGNING_KEY)
    expect(parseVerifierKey(` ${text}\r\n`)).toMatchObject({ name: ORIGIN, raw: VERIFIER_KEY.raw })
    expect(parseVerifierKey(pem)).toMatchObject({ name: null, raw: VERIFIER_KEY.raw })
    expect(parseVerifierKey(pem.replaceAll('\n', '\r\n')).raw).toEqual(VERIFIER_KEY.raw)
  })

  it('are not read when cut anywhere, or with any one character changed', () => {
    for (let start = 0; start <= PETER.length; start++) {
      for (let end = start; end <= PETER.length; end++) {
        if (end - start < PETER.length) expect(() => parseVerifierKey(PETER.slice(start, end))).toThrow(TypeError)
      }
    }
    for (let at = 0; at < PETER.length; at++) {
      const edited = PETER.slice(0, at) + String.fromCharCode(PETER.charCodeAt(at) + 1) + PETER.slice(at + 1)
      expect(() => parseVerifierKey(edited), edited).toThrow(TypeError)
    }
  })

  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  it.each([
    ['a key of another length', 'PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==', 'Ed25519 key'],
    ['another algorithm', 'PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 'Ed25519 key'],
    ['a private key', `PRIVATE+KEY+PeterNeumann+c74f20a3+A${PETER_SEED}`, 'private key'],
    ['a private key in PEM', SIGNING_KEY.export({ type: 'pkcs8', format: 'pem' }) as string, 'private key'],
    ['an RSA key', rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string, 'Ed25519'],
    ['two keys', pem + pem, 'one Ed25519 public key'],
    ['a PEM that is cut', pem.slice(0, -10), 'one Ed25519 public key'],
    ['a certificate', pem.replaceAll('PUBLIC KEY', 'CERTIFICATE'), 'one Ed25519 public key'],
    ['nothing', '', 'must be'],
  ])('are not read from %s', (_, text, message) => {
    expect(() => parseVerifierKey(text)).toThrow(TypeError)
    expect(() => parseVerifierKey(text)).toThrow(message)
  })

  it('are never quoted in an error', () => {
    const secret = SIGNING_KEY.export({ type: 'pkcs8', format: 'pem' }) as string
    for (const text of [secret, secret.replace('PRIVATE', 'PUBLIC').replace('PRIVATE', 'PUBLIC'), `x+00000000+${PETER_SEED}`]) {
      let message = ''
      try {
        parseVerifierKey(text)
      } catch (error) {
        message = String(error) + String((error as Error).cause)
      }
      expect(message).not.toBe('')
      for (const part of [secret.split('\n')[1] as string, PETER_SEED]) expect(message).not.toContain(part.slice(0, 16))
    }
  })

  it('have names without spaces, plus signs and control characters', () => {
    expect(['log.example.test/a', 'é', 'a-b_c'].every(isKeyName)).toBe(true)
    expect(['', 'a b', 'a+b', 'a\nb', 'a\u00a0b', 'a\u0085b', '\ud800'].some(isKeyName)).toBe(false)
    expect(() => verifierKeyText('a+b', SIGNING_KEY)).toThrow(TypeError)
    expect(() => verifierKeyText('a', rsa.privateKey)).toThrow(TypeError)
  })

  it('have the id that C2SP signed-note defines', () => {
    expect(keyIdOf('PeterNeumann', parseVerifierKey(PETER).raw).toString('hex')).toBe('c74f20a3')
  })
})
