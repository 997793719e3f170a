import { generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto'

/** A certificate that signs itself, and its key, both in PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

const DAY_MILLISECONDS = 86_400_000

/**
 * Makes a certificate for this machine (`localhost` and 127.0.0.1), good for a day. It is enough to tell the holders of an example
 * apart; real ones come from a certificate authority. Written in DER (RFC 5280 4.1), which Node reads but does not write.
 */
export function createCertificate(commonName: string): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(set(sequence(objectId(0x55, 0x04, 0x03), tagged(0x0c, Buffer.from(commonName)))))
  const signedWith = sequence(objectId(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)) // ecdsa-with-SHA256
  const names = sequence(tagged(0x82, Buffer.from('localhost')), tagged(0x87, Buffer.from([127, 0, 0, 1])))
  const subjectAltName = sequence(objectId(0x55, 0x1d, 0x11), tagged(0x04, names))
  const toBeSigned = sequence(
    tagged(0xa0, integer(2)), // version 3
    tagged(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])), // serial number, positive
    signedWith,
    name,
    sequence(utcTime(Date.now() - DAY_MILLISECONDS), utcTime(Date.now() + DAY_MILLISECONDS)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(subjectAltName)),
  )
  const signature = sign('sha256', toBeSigned, privateKey)
  const der = sequence(toBeSigned, signedWith, tagged(0x03, Buffer.concat([Buffer.from([0]), signature])))
  return {
    cert: new X509Certificate(der).toString(),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function tagged(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents)
  const long = body.length < 0x80 ? [] : body.length < 0x100 ? [0x81] : [0x82, body.length >> 8]
  return Buffer.concat([Buffer.from([tag, ...long, body.length & 0xff]), body])
}

const sequence = (...contents: readonly Buffer[]): Buffer => tagged(0x30, ...contents)
const set = (...contents: readonly Buffer[]): Buffer => tagged(0x31, ...contents)
const integer = (value: number): Buffer => tagged(0x02, Buffer.from([value]))
const objectId = (...encoded: readonly number[]): Buffer => tagged(0x06, Buffer.from(encoded))

function utcTime(milliseconds: number): Buffer {
  const digits = new Date(milliseconds).toISOString().replace(/\.\d+|[-:T]/g, '')
  return tagged(0x17, Buffer.from(digits.slice(2)))
}
