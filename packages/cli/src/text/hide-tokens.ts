/** What may be a JWT: base64url that begins with a brace, then two parts or more. */
const TOKEN_LIKE = /e[w-z0-9_-][\w-]{5,}\.[\w-]+\.[\w-]*(?:\.[\w-]*){0,2}/g
/** How the JSON of a header begins, whatever white space is in it. */
const HEADER = /^\{\s*["}]/

/** A token is a secret wherever it stands: in a claim for a downstream API, or on a command line by mistake. */
export function hideTokens(text: string): string {
  return text.replace(TOKEN_LIKE, (found) => {
    const header = Buffer.from(found.slice(0, found.indexOf('.')), 'base64url').toString('latin1')
    return HEADER.test(header) ? '(a token, not shown)' : found
  })
}
