/**
 * What no identifier may hold: control, format and surrogate characters and separators other than the plain space. They forge
 * log lines, truncate in other stores, or make two names look alike.
 */
const FORBIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u
const SPACE_AT_EDGE = /^ | $/
const PLAIN = /^[\x21-\x7e]+$/

/**
 * Whether a value can name a party, client, tenant, grant or token: a non-empty clean string of bounded length.
 * Nothing is trimmed, normalised or converted (RFC 7519 7.3 compares code points).
 */
export function isIdentifier(value: unknown, maxCharacters: number): value is string {
  if (typeof value !== 'string' || value.length === 0 || value.length > maxCharacters) return false
  return PLAIN.test(value) || (!FORBIDDEN.test(value) && !SPACE_AT_EDGE.test(value))
}
