import type { Readable } from 'node:stream'
import { CommandError } from '../command-error.js'
import type { Terminal } from '../terminal.js'

/** More than any token that fits a header; what is longer is some other file. */
const MOST_BYTES = 256 * 1024

/**
 * A token from standard input: never from the command line, which process lists and shell histories show. White space around it,
 * quotes and a `Bearer` before it are taken away.
 * @throws {CommandError} where there is nothing, or too much
 */
export async function readToken({ stdin, stderr, isTTY }: Terminal): Promise<string> {
  if (isTTY.stdin) stderr.write('behalf: reading a token from standard input; end it with Enter and Ctrl-D\n')
  const text = (await readAll(stdin)).trim()
  const token = text
    .replace(/^authorization:\s*/i, '')
    .replace(/^bearer\s+/i, '')
    .replace(/^(["'])(.*)\1$/s, '$2')
    .trim()
  if (token === '') throw new CommandError("no token on standard input: pipe one in, as in 'behalf inspect < token.txt'")
  return token
}

async function readAll(stdin: Readable): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stdin) {
    const part = Buffer.from(chunk as string | Uint8Array)
    bytes += part.length
    if (bytes > MOST_BYTES) throw new CommandError(`more than ${MOST_BYTES / 1024} KiB on standard input: that is no token`)
    chunks.push(part)
  }
  return Buffer.concat(chunks).toString('utf8')
}
