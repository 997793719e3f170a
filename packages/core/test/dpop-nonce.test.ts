/** Nonces for proofs, which nobody has to remember: RFC 9449 8 and 9. */
import { createHmac, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { DpopNonces, nonceSecretsAt } from '../src/binding/dpop-nonce.js'
import { ConfigError } from '../src/errors.js'

const SECRET = Uint8Array.from({ length: 32 }, (_, at) => at)
const OTHER = Uint8Array.from({ length: 32 }, (_, at) => 255 - at)
const LIFE = 300
const STEP = LIFE / 2
/** A multiple of the time after which nonces change. */
const NOW = 1_790_000_100 - (1_790_000_100 % STEP)

const noncesOf = (...secrets: Uint8Array[]) => new DpopNonces(secrets.length === 0 ? [SECRET] : secrets, LIFE)

/** Bytes of a nonce: six of time, sixteen of its tag. */
const bytesOf = (nonce: string) => Buffer.from(nonce, 'base64url')

/** A nonce by somebody's own hand. */
function made(madeAt: number, secret: Uint8Array, purpose = 'behalf DPoP nonce 1:'): string {
  const time = Buffer.alloc(6)
  time.writeUIntBE(madeAt, 0, 6)
  const tag = createHmac('sha256', secret).update(`${purpose}${madeAt}`).digest().subarray(0, 16)
  return Buffer.concat([time, tag]).toString('base64url')
}

describe('a nonce', () => {
  test('is written in the characters that nonces have (RFC 9449 8.1), and holds its time and a tag', () => {
    const nonce = noncesOf().current(NOW)
    expect(nonce).toMatch(/^[\x21\x23-\x5b\x5d-\x7e]+$/)
    expect(bytesOf(nonce)).toHaveLength(22)
    expect(bytesOf(nonce).readUIntBE(0, 6)).toBe(NOW)
    expect(nonce).toBe(made(NOW, SECRET))
  })

  test('is the same for half of its life, and then another one', () => {
    const nonces = noncesOf()
    const first = nonces.current(NOW)
    expect(nonces.current(NOW + STEP - 0.001)).toBe(first)
    const next = nonces.current(NOW + STEP)
    expect(next).not.toBe(first)
    expect(nonces.current(NOW + STEP + 1)).toBe(next)
    expect(nonces.current(NOW)).toBe(first)
  })

  test('of another secret is another one: nobody can tell it beforehand', () => {
    const seen = Array.from({ length: 20 }, () => noncesOf(Uint8Array.from(randomBytes(32))).current(NOW))
    expect(new Set(seen).size).toBe(20)
  })

  test('changes at least once a second, also where it lives for one', () => {
    const nonces = new DpopNonces([SECRET], 1)
    const nonce = nonces.current(NOW)
    expect([nonces.accepts(nonce, NOW + 0.999, 0), nonces.accepts(nonce, NOW + 1, 0)]).toEqual([true, false])
    expect(nonces.current(NOW + 1)).not.toBe(nonce)
  })
})

describe('its life', () => {
  // From one server that made it, and from a replica that never saw it.
  test.each([
    ['the server that gave it', true],
    ['a replica', false],
  ])('has both its ends at %s', (_who, own) => {
    const giving = noncesOf()
    const nonce = giving.current(NOW)
    const asked = own ? giving : noncesOf()
    for (const [seconds, accepted] of [
      [0, true],
      [STEP - 0.001, true],
      [STEP, true],
      [LIFE - 0.001, true],
      [LIFE, false],
      [LIFE + 1, false],
    ] as const) {
      expect(asked.accepts(nonce, NOW + seconds, 5), `after ${seconds} s`).toBe(accepted)
    }
  })

  test('begins as much earlier as clocks may differ', () => {
    const ahead = noncesOf().current(NOW)
    for (const [tolerance, behind, accepted] of [
      [5, 5, true],
      [5, 5.001, false],
      [0, 0, true],
      [0, 0.001, false],
    ] as const) {
      expect(noncesOf().accepts(ahead, NOW - behind, tolerance), `${tolerance} s, ${behind} s behind`).toBe(accepted)
    }
  })

  test('is over also where the server that gave it has given no other since', () => {
    const nonces = noncesOf()
    const nonce = nonces.current(NOW)
    expect(nonces.accepts(nonce, NOW + LIFE, 5)).toBe(false)
    expect(nonces.accepts(nonce, NOW - LIFE, 5)).toBe(false)
  })
})

describe('replicas and secrets', () => {
  test('replicas with one secret accept each other’s nonces, and give the same', () => {
    const [one, other] = [noncesOf(), noncesOf()]
    expect(one.current(NOW)).toBe(other.current(NOW))
    expect(other.accepts(one.current(NOW + STEP), NOW + STEP + 1, 5)).toBe(true)
  })

  test('a nonce of another secret is refused', () => {
    expect(noncesOf().accepts(noncesOf(OTHER).current(NOW), NOW, 5)).toBe(false)
  })

  test('during a change each secret of the list is accepted, and the first one makes nonces', () => {
    const changing = noncesOf(OTHER, SECRET)
    expect(changing.current(NOW)).toBe(made(NOW, OTHER))
    expect(changing.accepts(made(NOW, SECRET), NOW, 5)).toBe(true)
    expect(changing.accepts(made(NOW, OTHER), NOW, 5)).toBe(true)
    expect(noncesOf(OTHER).accepts(made(NOW, SECRET), NOW, 5)).toBe(false)
  })

  test('what the secret has made for another purpose is no nonce', () => {
    expect(noncesOf().accepts(made(NOW, SECRET, ''), NOW, 5)).toBe(false)
    expect(noncesOf().accepts(made(NOW, SECRET, 'behalf DPoP nonce 2:'), NOW, 5)).toBe(false)
  })
})

describe('what is no nonce', () => {
  const good = made(NOW, SECRET)

  test('the good one, for comparison, is accepted', () => {
    expect(noncesOf().accepts(good, NOW, 5)).toBe(true)
  })

  test.each([
    ['nothing', undefined],
    ['null', null],
    ['a number', NOW],
    ['a list', [good]],
    ['an object that reads as one', { toString: () => good }],
    ['an empty text', ''],
    ['a shorter one', good.slice(0, -2)],
    ['a longer one', `${good}AA`],
    ['padding', `${good}==`],
    ['a space', `${good} `],
    ['another alphabet', good.replaceAll('-', '+').replaceAll('_', '/').padEnd(32, '=')],
    ['only its time', bytesOf(good).subarray(0, 6).toString('base64url')],
    ['its tag alone', bytesOf(good).subarray(6).toString('base64url')],
    ['zeros', Buffer.alloc(22).toString('base64url')],
    ['a shorter tag', bytesOf(good).subarray(0, 21).toString('base64url')],
  ])('is refused: %s', (_what, nonce) => {
    const nonces = noncesOf()
    expect(nonces.accepts(nonce, NOW, 5)).toBe(false)
    nonces.current(NOW) // also by one that has given a nonce
    expect(nonces.accepts(nonce, NOW, 5)).toBe(false)
  })

  test('every changed bit', () => {
    const accepted: number[] = []
    for (let bit = 0; bit < 22 * 8; bit++) {
      const bytes = bytesOf(good)
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      if (noncesOf().accepts(bytes.toString('base64url'), NOW, 300)) accepted.push(bit)
    }
    expect(accepted).toEqual([])
  })

  test('the same bytes written in another way', () => {
    // The last character of 22 bytes holds two bits that say nothing.
    const last = good.at(-1) ?? ''
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (const other of alphabet) {
      if (other === last) continue
      expect(noncesOf().accepts(good.slice(0, -1) + other, NOW, 5), other).toBe(false)
    }
  })

  test('one of the future, though its tag holds', () => {
    expect(noncesOf().accepts(made(NOW + STEP, SECRET), NOW, 5)).toBe(false)
    expect(noncesOf().accepts(made(2 ** 48 - 1, SECRET), NOW, 5)).toBe(false)
  })
})

describe('the secret', () => {
  const read = (secret: unknown) => nonceSecretsAt({ secret }, 'dpop.nonce')

  test('is 32 bytes or more, or a text of 43 characters or more', () => {
    expect(read(SECRET)).toEqual([SECRET])
    expect(read(Buffer.from(SECRET))).toEqual([SECRET])
    expect(read('s'.repeat(43))).toEqual([Uint8Array.from(Buffer.from('s'.repeat(43)))])
    expect(read([SECRET, 's'.repeat(50)])).toHaveLength(2)
  })

  test.each([
    ['31 bytes', SECRET.subarray(1)],
    ['42 characters', 's'.repeat(42)],
    ['nothing', undefined],
    ['null', null],
    ['an empty text', ''],
    ['a number', 1],
    ['a list of numbers', Array.from(SECRET)],
    ['a view of another kind', new Uint16Array(32)],
    ['an empty list', []],
    ['a list with a short one', [SECRET, 'short']],
  ])('is refused: %s', (_what, secret) => {
    expect(() => nonceSecretsAt(secret === undefined ? {} : { secret }, 'dpop.nonce')).toThrow(ConfigError)
  })

  test('is told by no error', () => {
    const short = 'a-secret-that-is-too-short'
    for (const secret of [short, Buffer.from(short), [SECRET, short]]) {
      let told = ''
      try {
        read(secret)
      } catch (error) {
        told = String((error as Error).stack) + JSON.stringify(error)
      }
      expect(told).toContain('dpop.nonce.secret')
      expect(told).not.toContain(short)
      expect(told).not.toContain(Buffer.from(short).toString('hex'))
    }
  })

  test('is copied: what the application does with its buffer afterwards changes nothing', () => {
    const given = Uint8Array.from(SECRET)
    const nonces = new DpopNonces(read(given), LIFE)
    given.fill(0)
    expect(nonces.current(NOW)).toBe(made(NOW, SECRET))
  })

  test('that is not there at all makes no nonce', () => {
    expect(() => new DpopNonces([], LIFE).current(NOW)).toThrow(ConfigError)
  })
})
