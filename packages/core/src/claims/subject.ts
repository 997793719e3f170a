import { isIdentifier } from '../token/identifier.js'
import type { ClaimCheck } from './claim-check.js'

/** `sub` names somebody (RFC 7519 4.1.2): a clean, non-empty string. An actor is never promoted to a missing subject. */
export const checkSubject: ClaimCheck = ({ claims, limits }) =>
  isIdentifier(claims['sub'], limits.identifierCharacters) ? null : 'claim_invalid'
