/** Texts that command a terminal, hide in a line, reorder it, or imitate another one. */
export const HOSTILE: readonly string[] = [
  '\u001b[2J\u001b[31mred',
  '\u001b]0;title\u0007',
  '\u009b31mc1',
  'a\nb',
  'a\r\u001b[Kb',
  'a\u2028b\u2029c\u0085d',
  '\u202eevil\u202c',
  '\u2066a\u2069',
  '\u200bzero\u200d\u2060\ufeff',
  '\u3164\uffa0\u115f\u2800',
  '\u{e0041}\u{e0042}tags',
  'v\ufe0f\u{e0100}',
  'z\u0300\u0301\u0302\u0303\u0304\u0305\u0306',
  'tab\there',
  'nul\u0000del\u007f',
  'lone\ud800',
  'nbsp\u00a0x\u3000y',
  'two  spaces',
]

/** What no line of output may hold: all that is no plain, visible text. Isolates in pairs are ours, and so are colours where they are wanted. */
const HARMFUL: readonly RegExp[] = [
  /\p{Cc}|\p{Cs}|\p{Co}|\p{Cn}|\p{Zl}|\p{Zp}/u,
  /[\u00a0\u3000\u2800]/,
  /[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/,
  /\u3164|\uffa0|\u115f/,
  /\p{Variation_Selector}|[\u{e0001}-\u{e007f}]/u,
  /\p{M}{4}/u,
]

export function isHarmless(line: string, colours = false): boolean {
  const text = line.replace(/\u2068([^\u2068\u2069]*)\u2069/g, '$1')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of our own
  const plain = colours ? text.replace(/\u001b\[\d+m/g, '') : text
  return !HARMFUL.some((harmful) => harmful.test(plain))
}
