/** Whether one of a rule's words or patterns means a scope: `orders:*` means what begins with `orders:` and has more after it. */
function meant(patterns: readonly string[], scope: string): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith(':*')
      ? scope.slice(0, pattern.length - 1) === pattern.slice(0, -1) && scope !== pattern.slice(0, -1)
      : pattern === scope,
  )
}

/** The scopes that a rule leaves: a word with `*` is allowed by no pattern, and an exception wins over everything. */
export function expectedScopes(
  token: readonly string[],
  allowed: readonly string[] | 'all',
  except: readonly string[],
): readonly string[] {
  return token.filter((scope) => {
    const open = allowed === 'all' || (meant(allowed, scope) && !scope.includes('*'))
    return open && !meant(except, scope)
  })
}
