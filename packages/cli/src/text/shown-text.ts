import { escapeText } from './escape-text.js'
import { hideTokens } from './hide-tokens.js'

/** Text of others as it may be shown to people: no token in it, and nothing that could command or confuse a terminal. */
export function shownText(text: string): string {
  return escapeText(hideTokens(text))
}
