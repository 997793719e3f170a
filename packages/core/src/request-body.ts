/** Node's request as a stream; HTTP/1.1 and the HTTP/2 compatibility API both have it. Structural, as in `node-http.ts`. */
export interface BodyStream {
  /** Names in lower case. */
  readonly headers: { readonly 'content-length'?: string | undefined }
  /** Somebody has read of it already. */
  readonly readableDidRead: boolean
  /** Its connection or stream is gone; also when it has been read to its end. */
  readonly destroyed: boolean
  /** Node's own events. */
  on(event: 'data', listener: (chunk: Uint8Array | string) => void): unknown
  on(event: 'end' | 'close' | 'error', listener: () => void): unknown
  off(event: 'data', listener: (chunk: Uint8Array | string) => void): unknown
  off(event: 'end' | 'close', listener: () => void): unknown
  /** Takes no more from the connection. */
  pause(): unknown
}

/** Why there is no body: it is too large, came too slowly, or its sender is gone. */
export type BodyFault = 'too_large' | 'too_slow' | 'gone'

/** Bounds of a body. */
export interface BodyBounds {
  /** Largest body, in bytes. */
  readonly maxBytes: number
  /** How long the whole of it may take to come, in milliseconds. */
  readonly milliseconds: number
}

/** Reads a body that nobody has read yet, within its bounds. Never rejects. */
export function readBody(stream: BodyStream, { maxBytes, milliseconds }: BodyBounds): Promise<Uint8Array | BodyFault> {
  if (stream.destroyed) return Promise.resolve('gone')
  if (Number(stream.headers['content-length']) > maxBytes) return Promise.resolve('too_large')
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = []
    let bytes = 0
    const settle = (result: Uint8Array | BodyFault) => {
      clearTimeout(timer)
      stream.off('data', onData)
      stream.off('end', onEnd)
      stream.off('close', onClose)
      if (typeof result === 'string') stream.pause()
      resolve(result)
    }
    const onData = (chunk: Uint8Array | string) => {
      const part = typeof chunk === 'string' ? Buffer.from(chunk) : chunk // a text, where somebody has set an encoding
      bytes += part.byteLength
      if (bytes > maxBytes) settle('too_large')
      else chunks.push(part)
    }
    const onEnd = () => settle(Buffer.concat(chunks))
    const onClose = () => settle('gone')
    const timer = setTimeout(() => settle('too_slow'), milliseconds).unref()
    stream.on('error', ignore) // stays: one that nobody listens to can end the process, and `close` follows it
    stream.on('close', onClose)
    stream.on('end', onEnd)
    stream.on('data', onData)
  })
}

function ignore(): void {}
