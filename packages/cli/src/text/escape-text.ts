/**
 * What must not reach a terminal as it is: control characters (they give commands to it), format and other invisible characters
 * (they reorder a line, or hide in one), separators that look like a space or break a line, lone surrogates, private and
 * unassigned characters.
 */
const UNSAFE =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}|(?<![\p{L}\p{N}\p{M}])\p{M}+|(?<=\p{M}{3})\p{M}+/gu

/** A second space in a row would look like the end of a column; the backslash begins our own escapes. */
const AMBIGUOUS = /(?<= ) |^ | $|\\/g

/** Letters that are written from right to left: they take the digits and signs beside them along. */
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u

/**
 * Text of others, fit for a line on a terminal: what could command it, reorder it or hide in it stands as `\u{…}`, a backslash is
 * doubled, and the text cannot be taken for two columns. The same text always comes out the same, two different texts never do.
 */
export function escapeText(text: string): string {
  return text.replace(AMBIGUOUS, (character) => (character === '\\' ? '\\\\' : '\\u{20}')).replace(UNSAFE, codePoints)
}

/**
 * JSON, fit for a terminal: the same value, with everything unsafe as `\uXXXX`.
 * @param json without white space outside strings, other than plain spaces
 */
export function escapeJson(json: string): string {
  return json.replace(UNSAFE, codeUnits)
}

/** Keeps text that runs from right to left within its own cell (Unicode UAX #9, isolates); other text is left as it is. */
export function isolated(text: string): string {
  return RIGHT_TO_LEFT.test(text) ? `\u2068${text}\u2069` : text
}

function codePoints(text: string): string {
  return Array.from(text, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`).join('')
}

function codeUnits(text: string): string {
  return Array.from({ length: text.length }, (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')
}
