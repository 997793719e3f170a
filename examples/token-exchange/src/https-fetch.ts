import { Agent, request } from 'node:https'
import type { Certificate } from './certificates.js'

/** As much of the standard `fetch` as is used here: it follows no redirects. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** What a caller trusts, and shows of itself. */
export interface CallerTls {
  /** Certificates of servers that are believed. */
  readonly ca: string
  /** Shown to servers that ask for one (RFC 8705). */
  readonly own?: Certificate
}

const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304])

/** A `fetch` with certificates, which the standard one cannot be given without a further package. */
export function httpsFetch({ ca, own }: CallerTls): Fetch {
  const agent = new Agent({ ca, ...own })
  return async (input, init) => {
    const asked = new Request(input, init)
    const body = Buffer.from(await asked.arrayBuffer())
    const { url, method, headers, signal } = asked
    return new Promise((resolve, reject) => {
      const sent = request(url, { agent, method, headers: Object.fromEntries(headers), signal }, (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('error', reject)
        answer.on('end', () => {
          const status = answer.statusCode ?? 0
          const lines = Object.entries(answer.headersDistinct).flatMap(([name, values = []]) =>
            values.map((value): [string, string] => [name, value]),
          )
          resolve(new Response(WITHOUT_BODY.has(status) ? null : Buffer.concat(chunks), { status, headers: lines }))
        })
      })
      sent.on('error', reject)
      sent.end(body)
    })
  }
}
