/** Names the header fields of an answer that scripts of other origins may read (Fetch, CORS protocol). */
export const EXPOSE = 'access-control-expose-headers'

/**
 * The value of that field with more names in it. It opens an answer to nobody: that is `Access-Control-Allow-Origin`, and the
 * application's to say.
 * @param said what the application says already; `null`: nothing
 */
export function exposing(said: string | null, names: readonly string[]): string {
  const known =
    said
      ?.split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '') ?? []
  const missing = names.filter((name) => !known.some((each) => each.toLowerCase() === name.toLowerCase()))
  return [...known, ...missing].join(', ')
}
