import { type Members, optional, wordAt } from '../config-shape.js'

/**
 * Whether tokens may be bound to their sender in one way. `off`: a token that is bound in that way is refused, since nobody would
 * check it. `allow`: it is checked where a token asks for it. `require`: a token that is not bound in that way is refused.
 */
export type BindingMode = 'off' | 'allow' | 'require'

/** How the tokens of one issuer may be bound to their sender. */
export interface BindingPolicy {
  /** By a key whose possession each request proves (RFC 9449). */
  readonly dpop: BindingMode
  /** By the client certificate of the connection (RFC 8705). */
  readonly mtls: BindingMode
}

/** Reads a {@link BindingMode}. */
export function bindingModeAt(value: unknown, where: string): BindingMode {
  return wordAt(value, where, ['off', 'allow', 'require'])
}

/** Reads an issuer's policy from its options: what is not said is off. */
export function bindingPolicyOf(members: Members, where: string): BindingPolicy {
  return Object.freeze({
    dpop: optional(members, 'dpop', where, bindingModeAt, 'off' as const),
    mtls: optional(members, 'mtls', where, bindingModeAt, 'off' as const),
  })
}
