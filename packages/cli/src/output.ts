import type { Writable } from 'node:stream'
import { ioError } from './command-error.js'

/** Lines are gathered up to this many characters before they are written. */
const CHUNK_CHARACTERS = 16 * 1024

/** Lines on their way out: in chunks, never faster than the reader takes them. */
export interface Output {
  /** One line, without its newline. */
  line(text: string): Promise<void>
  /** Writes what was gathered. @throws {CommandError} where it cannot be written, unless nobody reads any more */
  flush(): Promise<void>
  /** Aborted when nobody reads any more (EPIPE, as under `| head`). */
  readonly gone: AbortSignal
}

/** A reader that went away: its pipe is closed, or what is left for it was dropped. */
const GONE: ReadonlySet<string | undefined> = new Set(['EPIPE', 'ERR_STREAM_DESTROYED'])

/** A reader that goes away ends the output quietly. */
export function createOutput(stream: Writable): Output {
  const gone = new AbortController()
  let gathered = ''
  const leave = () => gone.abort()
  stream.on('error', leave) // what it is, the write that failed says
  stream.once('close', leave)

  async function flush(): Promise<void> {
    const text = gathered
    gathered = ''
    if (text === '' || gone.signal.aborted) return
    const error = await written(stream, text)
    if (error === null) return
    if (!GONE.has(error.code)) throw ioError(error, 'write the output') ?? error
    leave()
  }

  return {
    async line(text) {
      gathered += `${text}\n`
      if (gathered.length >= CHUNK_CHARACTERS) await flush()
    },
    flush,
    gone: gone.signal,
  }
}

function written(stream: Writable, text: string): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    stream.write(text, (error) => resolve(error ?? null))
  })
}
