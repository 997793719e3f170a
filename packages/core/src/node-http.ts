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
  readonly socket?: { readonly remoteAddress?: string | undefined } | null
}

/** The parts of Node's response that are read. */
export interface NodeResponse {
  /** The status that was, or would be, sent. */
  readonly statusCode: number
  /** HTTP/1.1: everything was handed to the operating system. */
  readonly writableFinished: boolean
  /** `end()` was called. */
  readonly writableEnded: boolean
  /** Its connection or stream is gone. */
  readonly destroyed?: boolean
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
export interface FrameworkView {
  /** The framework's own object. */
  readonly raw: unknown
  /** The target as it was received: frameworks shorten `url` inside a mounted application. */
  readonly originalUrl: string
  /** The method as it was received, where a method-override middleware has kept it. */
  readonly originalMethod: string | undefined
  /** Asked again on every use: a framework matches its route after `authenticate()`. */
  readonly route: () => string | null
}

/** A request view over Node's own request. */
export function nodeRequestView(request: NodeRequest, framework: FrameworkView): RequestView {
  // The raw lines of HTTP/2 hold the method too; `headers` does not do, since overriding the method changes it there.
  const wire = fieldLines(request.rawHeaders, ':method')[0] ?? framework.originalMethod ?? request.method ?? ''
  return {
    get method() {
      return request.method ?? ''
    },
    wireMethod: wire,
    url: framework.originalUrl,
    path: pathOf(framework.originalUrl),
    get route() {
      return framework.route()
    },
    // From the raw lines: Node keeps only the first of several `Authorization` fields in `headers`.
    authorization: fieldLines(request.rawHeaders, 'authorization'),
    header(name) {
      const value = request.headers[name.toLowerCase()]
      return typeof value === 'string' ? value : (value?.join(', ') ?? null)
    },
    peer: request.socket?.remoteAddress ?? null,
    raw: framework.raw,
  }
}

/** A response view over Node's own response. */
export function nodeResponseView(response: NodeResponse): ResponseView {
  const { stream } = response
  return stream === undefined ? http1View(response) : http2View(response, stream)
}

function http1View(response: NodeResponse): ResponseView {
  return {
    get status() {
      return response.statusCode
    },
    get ended() {
      return response.writableFinished || response.destroyed === true
    },
    onEnd(listener) {
      let told = false
      const tell = (finished: boolean) => {
        if (told) return
        told = true
        listener(finished)
      }
      response.once('finish', () => tell(true))
      response.once('close', () => tell(response.writableFinished))
    },
  }
}

/**
 * The compatibility API of HTTP/2 tells `finish` for aborted responses too, and calls an answer to HEAD finished before it
 * has begun: only the stream knows.
 */
function http2View(response: NodeResponse, stream: NodeHttp2Stream): ResponseView {
  return {
    get status() {
      return response.statusCode
    },
    get ended() {
      return stream.closed || stream.destroyed
    },
    onEnd(listener) {
      stream.once('close', () => listener(response.writableEnded && (stream.rstCode ?? 0) === 0))
    },
  }
}

function fieldLines(rawHeaders: readonly string[], name: string): readonly string[] {
  const lines: string[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() === name) lines.push(rawHeaders[at + 1] ?? '')
  }
  return lines
}

/** The path of a request target, without query; of an absolute target (RFC 9112 3.2.2) too. */
function pathOf(target: string): string {
  if (target.startsWith('/')) return target.split('?', 1)[0] ?? ''
  return URL.canParse(target) ? new URL(target).pathname : ''
}
