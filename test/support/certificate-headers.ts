/** Client certificates as proxies write them into header fields, each by its own documentation. */
import { createHash } from 'node:crypto'
import type { CertificateHeader } from '@behalf/core'
import { type Certificate, derOf } from './certificates.js'

/** What one proxy writes. */
export interface ProxyHeader extends CertificateHeader {
  readonly proxy: string
  /** The field's value. */
  readonly write: (certificate: Certificate) => string
}

const base64 = (certificate: Certificate) => derOf(certificate).toString('base64')
const digest = (certificate: Certificate, encoding: 'hex' | 'base64') =>
  createHash('sha256').update(derOf(certificate)).digest(encoding)

/** Everything but letters, digits and `-._~` escaped, as RFC 3986 2.3 has it. */
const escapeAll = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

/** `+`, `=` and `/` stay as they are. */
const escapeSome = (text: string) => escapeAll(text).replace(/%2B|%3D|%2F/g, decodeURIComponent)

export const PROXY_HEADERS: readonly ProxyHeader[] = [
  {
    proxy: 'RFC 9440, Google Cloud {client_cert_leaf}, Cloudflare cert_rfc9440',
    header: 'Client-Cert',
    form: 'rfc9440',
    write: (certificate) => `:${base64(certificate)}:`,
  },
  {
    proxy: 'nginx $ssl_client_escaped_cert',
    header: 'X-SSL-Client-Cert',
    form: 'pem',
    write: ({ certificate }) => escapeAll(certificate),
  },
  {
    proxy: 'AWS ALB, passthrough, client without intermediates',
    header: 'X-Amzn-Mtls-Clientcert',
    form: 'pem',
    write: ({ certificate }) => escapeSome(certificate),
  },
  {
    proxy: 'AWS ALB, verify',
    header: 'X-Amzn-Mtls-Clientcert-Leaf',
    form: 'pem',
    write: ({ certificate }) => escapeSome(certificate),
  },
  {
    proxy: 'Apache %{SSL_CLIENT_CERT}s',
    header: 'X-Client-Cert',
    form: 'pem',
    write: ({ certificate }) => certificate.replaceAll('\n', ' '),
  },
  {
    proxy: 'HAProxy %[ssl_c_der,base64]',
    header: 'X-SSL-Client-DER',
    form: 'der',
    write: base64,
  },
  {
    proxy: 'HAProxy %[ssl_c_der,sha2(256),hex]',
    header: 'X-SSL-Client-SHA256',
    form: 'sha256',
    write: (certificate) => digest(certificate, 'hex').toUpperCase(),
  },
  {
    proxy: 'Traefik 3 passTLSClientCert.pem, Azure App Service',
    header: 'X-Forwarded-Tls-Client-Cert',
    form: 'der',
    write: base64,
  },
  {
    proxy: 'Cloudflare, DER',
    header: 'Cf-Client-Cert-Der-Base64',
    form: 'der',
    write: base64,
  },
  {
    proxy: 'Cloudflare, digest',
    header: 'Cf-Client-Cert-Sha256',
    form: 'sha256',
    write: (certificate) => digest(certificate, 'hex'),
  },
  {
    proxy: 'Google Cloud {client_cert_sha256_fingerprint}',
    header: 'X-Client-Cert-Hash',
    form: 'sha256',
    write: (certificate) => digest(certificate, 'base64').replace(/=+$/, ''),
  },
  {
    proxy: 'openssl x509 -fingerprint -sha256',
    header: 'X-Client-Fingerprint',
    form: 'sha256',
    write: (certificate) =>
      digest(certificate, 'hex')
        .toUpperCase()
        .replace(/..(?=.)/g, '$&:'),
  },
  {
    proxy: 'Envoy, as it does by default',
    header: 'X-Forwarded-Client-Cert',
    form: 'xfcc',
    write: (certificate) => `By=spiffe://example.test/api;Hash=${digest(certificate, 'hex')};URI=spiffe://example.test/first`,
  },
  {
    proxy: 'Envoy with everything',
    header: 'X-Forwarded-Client-Cert',
    form: 'xfcc',
    write: (certificate) =>
      [
        `By=spiffe://example.test/api;Hash=${digest(certificate, 'hex')}`,
        `Cert="${escapeAll(certificate.certificate)}";Chain="${escapeAll(certificate.certificate)}"`,
        'Subject="/C=US/O=Example, Inc.; \\"quoted\\"/CN=first";URI=spiffe://example.test/first;DNS=a.example.test;DNS=b.example.test',
      ].join(';'),
  },
  {
    proxy: 'Envoy with the certificate alone',
    header: 'X-Forwarded-Client-Cert',
    form: 'xfcc',
    write: ({ certificate }) => `Cert="${escapeAll(certificate)}"`,
  },
]
