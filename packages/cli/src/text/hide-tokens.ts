/** The beginning of a JWT: base64url of `{"`, then two more parts. */
const JWT = /eyJ[\w-]{5,}\.[\w-]+\.[\w-]*(?:\.[\w-]*){0,2}/g

/** A token is a secret wherever it stands: in a claim for a downstream API, or on a command line by mistake. */
export function hideTokens(text: string): string {
  return text.replace(JWT, '(a token, not shown)')
}
