/**
 * A text as a URL, or `null` where it is none. In place of `URL.canParse`, which Node 20 answers wrongly for valid URLs with letters
 * of Latin-1 once it has been called some thousand times (docs/decisions/0024).
 */
export function parseUrl(text: string): URL | null {
  try {
    return new URL(text)
  } catch {
    return null
  }
}
