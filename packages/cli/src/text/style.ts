import { styleText } from 'node:util'
import type { Terminal } from '../terminal.js'

/** How a text looks on a terminal. */
export type Look = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold'

/** Gives a text a look, where looks are wanted. */
export type Style = (look: Look, text: string) => string

/** Colours on a terminal, unless `NO_COLOR` is set; `FORCE_COLOR` decides where it is set (`0` and `false`: none). */
export function createStyle(terminal: Pick<Terminal, 'env' | 'isTTY'>, stream: 'stdout' | 'stderr'): Style {
  if (!wantsColours(terminal, stream)) return (_, text) => text
  // Our own answer counts, not what Node thinks of the process's stdout.
  return (look, text) => (text === '' ? '' : styleText(look, text, { validateStream: false }))
}

function wantsColours({ env, isTTY }: Pick<Terminal, 'env' | 'isTTY'>, stream: 'stdout' | 'stderr'): boolean {
  const forced = env['FORCE_COLOR']
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  return isTTY[stream] && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
}
