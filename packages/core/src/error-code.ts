/** The code of an error, where it looks like one: all that is told of an error of somebody else's, since nobody knows what its message holds. */
export function codeOf(error: unknown): string | null {
  try {
    const code = (error as { readonly code?: unknown } | null | undefined)?.code
    return typeof code === 'string' && /^[A-Za-z0-9_]{1,40}$/.test(code) ? code : null
  } catch {
    return null // whatever was thrown there, it must not end the process
  }
}
