/** Characters that take two columns: East Asian wide and full-width ones, and pictographs (Unicode UAX #11). */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1aff0}-\u{1b2ff}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u
/** Marks stand on the character before them; isolates (U+2066 to U+2069) are not seen. */
const NO_WIDTH = /[\p{M}\u2066-\u2069]/u
// biome-ignore lint/suspicious/noControlCharactersInRegex: a control character is no plain text
const PLAIN = /^[\u0000-\u007f]*$/

/** Columns that a text takes on a terminal. The text holds no control characters. */
export function textWidth(text: string): number {
  if (PLAIN.test(text)) return text.length
  let width = 0
  for (const character of text) width += characterWidth(character)
  return width
}

/** The text, or its beginning and `…`, in at most so many columns. */
export function cutToWidth(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text
  let kept = ''
  let width = 1 // the ellipsis
  for (const character of text) {
    width += characterWidth(character)
    if (width > columns) break
    kept += character
  }
  return `${kept}…`
}

/** The text with spaces behind it, up to so many columns. */
export function padToWidth(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - textWidth(text)))
}

function characterWidth(character: string): number {
  return NO_WIDTH.test(character) ? 0 : WIDE.test(character) ? 2 : 1
}
