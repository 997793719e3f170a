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
  /** The framework's own object (Express's request, Koa's context), for hooks that need more. */
  readonly raw: unknown
}

/** What the core sees of a response. */
export interface ResponseView {
  /** The status that was, or would be, sent. */
  readonly status: number
  /** Whether the response has been finished, or its connection closed. */
  readonly ended: boolean
  /** Calls the listener exactly once: `true` when the response was handed over whole, `false` when the connection closed before. */
  onEnd(listener: (finished: boolean) => void): void
}
