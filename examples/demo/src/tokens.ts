import { createSigningKey, fixtures, type TestIssuer } from '@behalf/testing'

/** Tokens of the demo, by who calls with them. */
export type TokenName = 'user' | 'support' | 'auditor' | 'agent' | 'chainOfTwo' | 'chainOfThree' | 'forged' | 'subjectToken'

const LIFETIME_SECONDS = 3600
const SCOPE = 'orders:read orders:write orders:refund'

const AGENT = { sub: 'checkout-agent', sub_profile: 'ai_agent' }
const PLANNER = { sub: 'planner-agent', sub_profile: 'ai_agent' }
const CRAWLER = { sub: 'crawler-agent', sub_profile: 'ai_agent' }

/** Signs one token of each sort; all are good for an hour. */
export function createTokens(server: TestIssuer): Readonly<Record<TokenName, string>> {
  const iat = Math.floor(Date.now() / 1000)
  const common = { iat, exp: iat + LIFETIME_SECONDS, scope: SCOPE }
  const customer = { ...common, sub: 'customer-7' }
  const { curity, asgardeo } = fixtures
  return {
    user: server.token({ claims: customer }),
    // Curity's documented token: `admin` acts for `user123`.
    support: server.tokenOf(curity.impersonated, { claims: common }),
    auditor: server.tokenOf(asgardeo.impersonated, { claims: { ...customer, act: { sub: 'auditor-2' } } }),
    agent: server.token({ claims: { ...customer, act: AGENT } }),
    chainOfTwo: server.token({ claims: { ...customer, act: { ...AGENT, act: PLANNER } } }),
    chainOfThree: server.token({ claims: { ...customer, act: { ...AGENT, act: { ...PLANNER, act: CRAWLER } } } }),
    // It names the issuer's key, but somebody else's has signed it.
    forged: server.token({
      claims: { ...customer, act: AGENT },
      key: createSigningKey('EdDSA', { kid: server.key('EdDSA').kid }),
    }),
    // What an auditor gets first at Asgardeo, to be exchanged for an access token: `may_act`, but nobody acts yet.
    subjectToken: server.tokenOf(asgardeo.subjectToken, { claims: { ...customer, may_act: { sub: 'auditor-2' } } }),
  }
}
