/** What the core sees of a request; an adapter makes it. Getters may be read at any time until the response has ended. */
export interface RequestView {
  /** The method as the framework sees it now (a method-override middleware may have changed it). */
  readonly method: string
  /** The method as it came over the wire, as far as it can still be known. */
  readonly wireMethod: string
  /** The path of the request target (RFC 9112 3.2), without query. Never recorded. */
  readonly path: string
  /** The request target as received, query included. Never recorded. */
  readonly url: string
  /** The pattern of the matched route, `null` as long as the framework has not matched one. */
  readonly route: string | null
  /** The value of every `Authorization` field line (RFC 9110 11.6.2), in order. */
  readonly authorization: readonly string[]
  /** A header field's value by its name (in any case), several lines joined with `, ` (RFC 9110 5.3); `null` if absent. */
  header(name: string): string | null
  /** Address of the socket's peer: a proxy's, if one stands before the API. `null` where unknown. */
  readonly peer: string | null
  /** The client certificate of the TLS connection to this server (RFC 8705 3), in DER; `null` where it has none. Whether somebody vouches for it is not looked at. */
  readonly clientCertificate: Uint8Array | null
  /** The framework's own object (Express's request, Koa's context), for hooks that need more. */
  readonly raw: unknown
}

/** An HTTP answer, whole. */
export interface HttpAnswer {
  /** The HTTP status. */
  readonly status: number
  /** Field names in lower case; those of the content included. */
  readonly headers: Readonly<Record<string, string>>
  /** A text; not sent in answer to HEAD. */
  readonly body: string
}

/** What the core sees of a response. */
export interface ResponseView {
  /** The status that was, or would be, sent. */
  readonly status: number
  /** Whether the response has been finished, or its connection closed. */
  readonly ended: boolean
  /** A header field that is set already; `null` where it is not. */
  header(name: string): string | null
  /** Sets a header field. Does nothing where the headers have been sent. */
  setHeader(name: string, value: string): void
  /** Calls the listener exactly once: `true` when the response was handed over whole, `false` when the connection closed before. */
  onEnd(listener: (finished: boolean) => void): void
}
