import { type AuthContext, hasScope, partyKey } from '@behalf/core'

// #region context
export function describe(context: AuthContext): string {
  const subject = partyKey(context.subject) // issuer, naming claim and id in one key; never the id alone
  if (context.kind === 'direct') return `${subject} is calling`
  const { actor, rule } = context
  const who = actor.id === null ? 'somebody who is not named' : partyKey(actor)
  return `${who} is calling for ${subject}, admitted by ${rule}`
}

export function mayCancel(context: AuthContext): boolean {
  return hasScope(context, 'orders:cancel') // effective scopes: what the rule left
}
// #endregion context
