import type { AuditEvent } from '@behalf/core'

export function say(text = ''): void {
  process.stdout.write(`${text}\n`)
}

/** The claims of a token, for people to look at: not verified. */
export function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
}

/** The parties of a token, as one reads them: `sam for ada`. */
export function partiesOf({ access_token }: { readonly access_token: string }): string {
  interface Named {
    readonly sub: string
    readonly act?: Named
  }
  const chainOf = ({ sub, act }: Named): readonly string[] => [sub, ...(act === undefined ? [] : chainOf(act))]
  const { sub, act } = claimsOf(access_token) as unknown as Named
  return [...(act === undefined ? [] : chainOf(act)), sub].join(' for ')
}

/** What was recorded of each request, in one line: who called for whom, and what became of it. */
export function auditLines(events: readonly AuditEvent[]): readonly string[] {
  const byRequest = new Map<string, AuditEvent[]>()
  for (const event of events) byRequest.set(event.requestId, [...(byRequest.get(event.requestId) ?? []), event])
  return [...byRequest.values()].map((all) => {
    const refusal = all.find(({ decision }) => decision === 'refuse')
    const told = refusal ?? all.find(({ type }) => type === 'access.outcome')
    return told === undefined ? 'nothing became of it' : lineOf(told)
  })
}

function lineOf({ subject, chain, http, reason, rule, consent }: AuditEvent): string {
  const who = subject === null ? '(nobody proven)' : [...chain.map(({ id }) => `${id} for`), subject.id].join(' ') // as the chain reads
  const why = reason ?? (rule === null ? 'in person' : `rule ${rule}, ${consent?.ticket}`)
  return `${who}: ${http.method} ${http.route ?? '(before routing)'} ${http.status} ${why}`
}
