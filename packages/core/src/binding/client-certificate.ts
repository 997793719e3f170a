import { hash } from 'node:crypto'
import { membersOf, stringAt, wordAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import type { RequestView } from '../request-view.js'
import type { PeerNetworks } from './peer-networks.js'

/**
 * How a proxy writes a client's certificate into a header field:
 * - `rfc9440`: `Client-Cert: :MIIB…:` (RFC 9440 2.2);
 * - `pem`: PEM, percent-encoded or with spaces for line ends (nginx, AWS, Apache);
 * - `der`: DER in base64 (HAProxy, Traefik, Azure, Cloudflare);
 * - `xfcc`: `X-Forwarded-Client-Cert` of Envoy, with `Cert` or `Hash`;
 * - `sha256`: the SHA-256 digest of the DER form, in hexadecimal or base64.
 */
export type CertificateForm = 'rfc9440' | 'pem' | 'der' | 'xfcc' | 'sha256'

/** Where a proxy writes the certificate of its client. */
export interface CertificateHeader {
  /** The field's name. The proxy must remove what a client sends under it. */
  readonly header: string
  /** How the certificate is written. */
  readonly form: CertificateForm
}

/** Whose certificate a request was sent with: the thumbprint of it (`x5t#S256`, RFC 8705 3.1), or `null` where there is none. */
export type CertificateSource = (request: RequestView) => string | null

/** The certificate of the TLS connection to this server. */
export const certificateOfConnection: CertificateSource = ({ clientCertificate }) =>
  clientCertificate === null ? null : thumbprintOf(clientCertificate)

/** The certificate that a trusted proxy has written into a header field. From anybody else the field says nothing. */
export function certificateOfHeader({ header, form }: CertificateHeader, proxies: PeerNetworks): CertificateSource {
  const read = FORMS[form]
  return (request) => {
    if (!proxies.includes(request.peer)) return null
    const value = request.header(header)
    return value === null ? null : read(value.trim())
  }
}

/** Reads `mtls.certificate`: a {@link CertificateHeader}, or the word `connection` for which there is `null`. */
export function certificateHeaderAt(value: unknown, where: string): CertificateHeader | null {
  if (value === 'connection') return null
  if (typeof value === 'string') throw new ConfigError(`${where} must be 'connection', or name a header and its form`)
  const members = membersOf(value, where, ['header', 'form'])
  const header = stringAt(members['header'], `${where}.header`)
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(header)) throw new ConfigError(`${where}.header is no name of a header field`)
  return { header: header.toLowerCase(), form: wordAt(members['form'], `${where}.form`, FORM_NAMES) }
}

/** Each reads one certificate, or nothing: two of them, or a chain, say nothing about who stands at the other end. */
const FORMS: Readonly<Record<CertificateForm, (value: string) => string | null>> = { rfc9440, pem, der: escapedDer, xfcc, sha256 }

const FORM_NAMES = Object.keys(FORMS) as readonly CertificateForm[]

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

/** An Item of a Byte Sequence (RFC 8941 3.3.5); parameters, of which none is defined, say nothing. */
function rfc9440(value: string): string | null {
  const [, base64 = ''] = /^:([A-Za-z0-9+/=]*):(?:; *[a-z*][a-z0-9_.*-]*(?:=[^,;":]*)?)*$/.exec(value) ?? []
  return der(base64)
}

/** Traefik escapes it. */
function escapedDer(value: string): string | null {
  return der(decoded(value) ?? '')
}

function der(value: string): string | null {
  const bytes = BASE64.test(value) ? Buffer.from(value, 'base64') : null
  // DER of a certificate is a SEQUENCE; a digest of anything else would be of no certificate.
  return bytes !== null && bytes[0] === 0x30 && sameBase64(bytes, value) ? thumbprintOf(bytes) : null
}

function sameBase64(bytes: Buffer, value: string): boolean {
  return bytes.toString('base64').replace(/=+$/, '') === value.replace(/=+$/, '')
}

function pem(value: string): string | null {
  const text = decoded(value)
  const [, body = ''] = /^\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----\s*$/.exec(text ?? '') ?? []
  return der(body.replace(/\s+/g, ''))
}

function decoded(value: string): string | null {
  if (!value.includes('%')) return value
  try {
    return decodeURIComponent(value)
  } catch {
    return null
  }
}

/** One element of `key=value` pairs, of which `Cert` and `Hash` are read; where both stand they must agree. */
function xfcc(value: string): string | null {
  const pairs = xfccPairs(value)
  if (pairs === null) return null
  const named = (name: string) => pairs.filter(([key]) => key.toLowerCase() === name).map(([, text]) => text)
  const [certs, hashes] = [named('cert').map(pem), named('hash').map(sha256)]
  const [first = null, ...others] = [...certs, ...hashes]
  return others.every((each) => each === first) ? first : null
}

/** `key=value` or `key="value"`, with semicolons between; `null` where it is anything else, such as several elements. */
function xfccPairs(value: string): readonly (readonly [key: string, value: string])[] | null {
  const pair = /([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;]*))(;|$)/y
  const pairs: (readonly [string, string])[] = []
  while (pair.lastIndex < value.length) {
    const match = pair.exec(value)
    if (match === null) return null
    pairs.push([match[1] ?? '', match[2]?.replace(/\\(.)/g, '$1') ?? match[3] ?? ''])
  }
  return pairs
}

function sha256(value: string): string | null {
  const hex = /^(?:[0-9a-f]{2}:){31}[0-9a-f]{2}$/i.test(value) ? value.replaceAll(':', '') : value
  if (/^[0-9a-f]{64}$/i.test(hex)) return Buffer.from(hex, 'hex').toString('base64url')
  const bare = value.replace(/=$/, '')
  const bytes = Buffer.from(bare, 'base64')
  const written = [bytes.toString('base64url'), bytes.toString('base64').slice(0, -1)]
  return bytes.length === 32 && written.includes(bare) ? bytes.toString('base64url') : null
}

function thumbprintOf(certificate: Uint8Array): string {
  return hash('sha256', certificate, 'base64url')
}
