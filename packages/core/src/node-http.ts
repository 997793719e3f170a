import type { RequestView, ResponseView } from './request-view.js'

/**
 * The parts of Node's request that are read; HTTP/1.1 and the HTTP/2 compatibility API both have them. Structural, so that the
 * core needs no server module.
 */
export interface NodeRequest {
  /** As the framework sees it; an override may have changed it. */
  readonly method?: string | undefined
  /** The target, as the framework may have shortened it. */
  readonly url?: string | undefined
  /** Names in lower case, values as Node joins them. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Names and values by turns, every field line as received. */
  readonly rawHeaders: readonly string[]
  /** Where the peer's address stands. */
  readonly socket?: NodeSocket | null
}

/** The parts of Node's socket that are read. */
interface NodeSocket {
  readonly remoteAddress?: string | undefined
  /** TLS sockets have it. */
  getPeerX509Certificate?(): { readonly raw: Uint8Array } | undefined
}

/** The parts of Node's response that are used. */
export interface NodeResponse {
  /** The status that was, or would be, sent. */
  readonly statusCode: number
  /** HTTP/1.1: everything was handed to the operating system. */
  readonly writableFinished: boolean
  /** `end()` was called. */
  readonly writableEnded: boolean
  /** Its connection or stream is gone. */
  readonly destroyed?: boolean
  /** Too late for a header field. */
  readonly headersSent: boolean
  /** A header field that is set already. */
  getHeader(name: string): number | string | readonly string[] | undefined
  /** Sets a header field. */
  setHeader(name: string, value: string): unknown
  /** Node's own events. */
  once(event: 'finish' | 'close', listener: () => void): unknown
  /** The stream of an HTTP/2 response. */
  readonly stream?: NodeHttp2Stream
}

/** The parts of an HTTP/2 stream that are read. */
interface NodeHttp2Stream {
  readonly closed: boolean
  readonly destroyed: boolean
  readonly rstCode?: number | undefined
  once(event: 'close', listener: () => void): unknown
}

/** What only a framework knows about a request. */
export interface FrameworkView<R = unknown> {
  /** The framework's own object. */
  readonly raw: R
  /** The target as it was received: frameworks shorten `url` inside a mounted application. */
  readonly originalUrl: string
  /** The method as it was received, where a method-override middleware has kept it. */
  readonly originalMethod: string | undefined
  /** Asked again on every use: a framework matches its route after `authenticate()`. */
  readonly routeOf: (raw: R) => string | null
}

/** A request view over Node's own request. */
export function nodeRequestView<R>(request: NodeRequest, framework: FrameworkView<R>): RequestView {
  return new NodeRequestView(request, framework)
}

/** Reads what it is asked for, when it is asked: most requests are asked for one field. */
class NodeRequestView<R> implements RequestView {
  readonly wireMethod: string
  /** Read at once: a socket that is closed has no peer any more, and callers can close theirs. */
  readonly peer: string | null
  readonly #request: NodeRequest
  readonly #framework: FrameworkView<R>
  #authorization: readonly string[] | null = null
  #certificate: Uint8Array | null | undefined

  constructor(request: NodeRequest, framework: FrameworkView<R>) {
    this.#request = request
    this.#framework = framework
    this.peer = request.socket?.remoteAddress ?? null
    this.wireMethod = wireMethodOf(request.rawHeaders) ?? framework.originalMethod ?? request.method ?? ''
  }

  get method(): string {
    return this.#request.method ?? ''
  }

  get url(): string {
    return this.#framework.originalUrl
  }

  get path(): string {
    return pathOf(this.#framework.originalUrl, this.wireMethod)
  }

  get route(): string | null {
    const { routeOf, raw } = this.#framework
    return routeOf(raw)
  }

  get authorization(): readonly string[] {
    // From the raw lines: Node keeps only the first of several `Authorization` fields in `headers`.
    this.#authorization ??= fieldLines(this.#request.rawHeaders, 'authorization')
    return this.#authorization
  }

  header(name: string): string | null {
    const value = this.#request.headers[name.toLowerCase()]
    return typeof value === 'string' ? value : (value?.join(', ') ?? null)
  }

  get clientCertificate(): Uint8Array | null {
    if (this.#certificate === undefined) this.#certificate = this.#request.socket?.getPeerX509Certificate?.()?.raw ?? null
    return this.#certificate
  }

  get raw(): unknown {
    return this.#framework.raw
  }
}

/** The raw lines of HTTP/2 hold the method, first of all; `headers` does not do, since overriding the method changes it there. */
function wireMethodOf(rawHeaders: readonly string[]): string | undefined {
  return rawHeaders[0]?.startsWith(':') ? fieldLines(rawHeaders, ':method')[0] : undefined
}

/** A response view over Node's own response. */
export function nodeResponseView(response: NodeResponse): ResponseView {
  const { stream } = response
  return stream === undefined ? new Http1ResponseView(response) : new Http2ResponseView(response, stream)
}

/** What responses of both protocols have in common. */
class NodeResponseFields {
  protected readonly response: NodeResponse

  constructor(response: NodeResponse) {
    this.response = response
  }

  get status(): number {
    return this.response.statusCode
  }

  header(name: string): string | null {
    return headerOf(this.response, name)
  }

  setHeader(name: string, value: string): void {
    if (!this.response.headersSent) this.response.setHeader(name, value)
  }
}

/** A header field of a response, several lines joined; `null` where it is not set. */
export function headerOf(response: Pick<NodeResponse, 'getHeader'>, name: string): string | null {
  const value = response.getHeader(name)
  return value === undefined ? null : typeof value === 'object' ? value.join(', ') : String(value)
}

class Http1ResponseView extends NodeResponseFields implements ResponseView {
  get ended(): boolean {
    return this.response.writableFinished || this.response.destroyed === true
  }

  onEnd(listener: (finished: boolean) => void): void {
    const { response } = this
    let told = false
    const tell = (finished: boolean) => {
      if (told) return
      told = true
      listener(finished)
    }
    response.once('finish', () => tell(true))
    response.once('close', () => tell(response.writableFinished))
  }
}

/**
 * The compatibility API of HTTP/2 tells `finish` for aborted responses too, and calls an answer to HEAD finished before it
 * has begun: only the stream knows.
 */
class Http2ResponseView extends NodeResponseFields implements ResponseView {
  readonly #stream: NodeHttp2Stream

  constructor(response: NodeResponse, stream: NodeHttp2Stream) {
    super(response)
    this.#stream = stream
  }

  get ended(): boolean {
    return this.#stream.closed || this.#stream.destroyed
  }

  onEnd(listener: (finished: boolean) => void): void {
    this.#stream.once('close', () => listener(this.response.writableEnded && (this.#stream.rstCode ?? 0) === 0))
  }
}

function fieldLines(rawHeaders: readonly string[], name: string): readonly string[] {
  const lines: string[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const field = rawHeaders[at]
    if (field?.length === name.length && field.toLowerCase() === name) lines.push(rawHeaders[at + 1] ?? '')
  }
  return lines
}

/**
 * The path of a request target, without query; of an absolute target (RFC 9112 3.2.2) too, as it is written: what a URL parser would
 * mend is not what a framework routes by. Empty where the target is none, or has a host of which a framework could take a part for the path.
 */
function pathOf(target: string, method: string): string {
  if (target.startsWith('/')) return target.split('?', 1)[0] ?? ''
  if (target === '*' && method === 'OPTIONS') return '/' // RFC 9112 3.2.4
  const [absolute, path = '/'] = /^https?:\/\/[\w.~:[\]-]+(\/[^?#]*)?(?:[?#].*)?$/i.exec(target) ?? []
  return absolute === undefined ? '' : path
}
