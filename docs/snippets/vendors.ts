/** How vendors without a preset are written down for `custom()`. */
import { custom, oauth } from '@behalf/core/issuers'

// #region auth0
export const auth0 = oauth({
  issuer: 'https://tenant.eu.auth0.com/', // with the slash, as in `iss`
  audience: 'https://api.example.com',
  claims: { client: ['client_id', 'azp'], type: { claim: 'gty', client: ['client-credentials'] } },
})
// #endregion auth0

// #region auth0-legacy
export const auth0Legacy = custom({
  issuer: 'https://tenant.eu.auth0.com/',
  audience: 'https://api.example.com',
  tokenTypes: ['JWT', 'at+jwt'],
  actor: { claim: 'impersonator', id: 'user_id' }, // an object whose user_id names the actor
  kind: 'impersonation',
})
// #endregion auth0-legacy

// #region keycloak
export const keycloak = custom({
  issuer: 'https://kc.example.com/realms/main',
  audience: 'https://api.example.com',
  tokenTypes: ['JWT', 'at+jwt'],
  requiredClaims: { typ: ['Bearer', 'DPoP'] }, // the payload's typ: refresh, offline and ID tokens say another word
  claims: { client: 'azp' },
  actor: { claim: 'act' },
  kind: ({ act }) => (typeof act === 'object' && act !== null && 'client_id' in act ? 'delegation' : 'impersonation'),
})
// #endregion keycloak

// #region clerk
export const clerk = custom({
  issuer: 'https://clerk.example.com',
  audience: null,
  anyClient: true,
  tokenTypes: ['JWT'],
  requiredClaims: { azp: 'https://app.example.com', sts: ['active', null] }, // azp is an origin here, no client
  claims: { client: [], scopes: null, grant: 'sid' },
  actor: { claim: 'act' },
  kind: 'impersonation',
})
// #endregion clerk

// #region propelauth
export const propelauth = custom({
  issuer: 'https://auth.example.com',
  audience: null,
  anyClient: true,
  tokenTypes: ['JWT', null],
  actor: { claim: 'impersonator_user_id', encoding: 'string' }, // the id alone
  kind: 'impersonation',
})
// #endregion propelauth

// #region abp
export const abp = custom({
  issuer: 'https://abp.example.com/',
  audience: 'https://api.example.com',
  tokenTypes: ['at+jwt'],
  actor: { claim: 'impersonator_userid', encoding: 'string', tenant: 'impersonator_tenantid' },
  kind: 'impersonation',
})
// #endregion abp

// #region foxids
export const foxids = custom({
  issuer: 'https://foxids.example.com/t/e/',
  audience: 'https://api.example.com',
  tokenTypes: ['JWT', 'at+jwt'],
  actor: { claim: 'act', encoding: 'json' }, // the object of RFC 8693 as JSON text
  kind: 'delegation',
})
// #endregion foxids

// #region hydra
export const hydra = custom({
  issuer: 'https://hydra.example.com',
  audience: 'https://api.example.com',
  tokenTypes: ['JWT', 'at+jwt'],
  claims: { scopes: { claim: 'scp', format: 'list' } },
  actor: { claim: ['ext', 'act'] }, // a path: custom claims stand under `ext`
  kind: 'delegation',
})
// #endregion hydra

// #region stytch
export const stytch = custom({
  issuer: 'stytch.com/project-live-1', // no URL, so the keys are named
  audience: 'project-live-1',
  jwksUri: 'https://api.stytch.com/v1/sessions/jwks/project-live-1',
  tokenTypes: ['JWT'],
  presentClaims: ['https://stytch.com/session'],
  actor: {
    read: (claims) => {
      const session = claims['https://stytch.com/session'] as { authentication_factors: { type: string }[] }
      const impersonated = session.authentication_factors.some(({ type }) => type === 'impersonated')
      return impersonated ? 'unknown' : null // somebody acts, and is not named
    },
  },
  kind: 'impersonation',
})
// #endregion stytch

// #region entra
export const entra = custom({
  issuer: 'https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0',
  audience: '22222222-2222-2222-2222-222222222222',
  tokenTypes: ['JWT'],
  claims: { client: 'azp', scopes: 'scp', tenant: 'tid', type: { claim: 'idtyp', client: ['app'], user: ['user'] } },
  actor: {
    reads: ['xms_act_fct'], // this reader looks after that marker
    id: 'client_id',
    read: ({ xms_act_fct, idtyp, azp, iss }) => {
      const facets = typeof xms_act_fct === 'string' ? xms_act_fct.split(' ') : []
      const agent = facets.includes('11') && idtyp !== 'app' // an app token: the agent acts in its own name
      return agent ? { client_id: azp, iss, sub_profile: 'ai_agent' } : null
    },
  },
  kind: 'delegation',
})
// #endregion entra
