/** Requests as tests need them: every header line as it is given, and every line of the answer. */
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'

export interface Ask {
  readonly method?: string
  readonly path?: string
  /** Lines of the header, in order; names may repeat. */
  readonly headers?: readonly (readonly [name: string, value: string])[]
  readonly body?: string
}

export interface Answer {
  readonly status: number
  /** By lower-case name; several lines of one name stand joined by a line feed. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export function bearer(token: string): readonly [string, string] {
  return ['Authorization', `Bearer ${token}`]
}

/** One request on a connection of its own. */
export function ask(port: number, { method = 'GET', path = '/', headers = [], body }: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const lines = [['Host', `127.0.0.1:${port}`], ['Connection', 'close'], ...headers]
    if (body !== undefined) lines.push(['Content-Length', String(Buffer.byteLength(body))])
    const sent = httpRequest({ host: '127.0.0.1', port, method, path, headers: lines.flat(), agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const named: Record<string, string> = {}
        for (let at = 0; at + 1 < response.rawHeaders.length; at += 2) {
          const name = (response.rawHeaders[at] ?? '').toLowerCase()
          const value = response.rawHeaders[at + 1] ?? ''
          named[name] = name in named ? `${named[name]}\n${value}` : value
        }
        resolve({ status: response.statusCode ?? 0, headers: named, body: Buffer.concat(chunks).toString('utf8') })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Sends bytes as they are and returns everything that comes back until the server closes. */
export function askRaw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.from(text, 'latin1')))
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('end', () => resolve(Buffer.concat(chunks).toString('latin1')))
  })
}

/** Takes a raw answer apart; its body must not be chunked. */
export function parseAnswer(raw: string): Answer {
  const end = raw.indexOf('\r\n\r\n')
  const [statusLine = '', ...lines] = raw.slice(0, end).split('\r\n')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  return { status: Number(statusLine.split(' ')[1]), headers, body: raw.slice(end + 4) }
}
