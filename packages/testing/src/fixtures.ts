import type { JsonObject } from '@behalf/core'

/** A token as a vendor documents it: header (without key and algorithm) and claims. */
export interface TokenFixture {
  /** Header members beside `alg` and `kid`. */
  readonly header: JsonObject
  /** The payload, with the documented times: seconds since the epoch, long past. */
  readonly claims: JsonObject
}

const CURITY = {
  iss: 'https://idsvr.example.com/oauth/v2/oauth-anonymous',
  aud: 'test-web-api',
  client_id: 'test-web-client',
  scope: 'openid profile read write',
  purpose: 'access_token',
} as const

const ASGARDEO = {
  iss: 'https://api.asgardeo.io/t/bifrost/oauth2/token',
  aud: 'jVcW4oLn1Jjb2T94H4gtPV9z5Y0a',
  azp: 'jVcW4oLn1Jjb2T94H4gtPV9z5Y0a',
  client_id: 'jVcW4oLn1Jjb2T94H4gtPV9z5Y0a',
  sub: '32bc4697-ed0f-4546-8387-dcd6403e7caa',
} as const

const ASGARDEO_SCOPE =
  'internal_login internal_org_user_mgt_list internal_org_user_mgt_view internal_user_mgt_list internal_user_mgt_view'
const ASGARDEO_ADMIN = { sub: '2d931c9d-876e-46c0-9aba-f34501879dfc' } as const

/**
 * Tokens of the four systems, with exactly the claims that their vendors document. Sign one with `issuer.tokenOf(fixture)`
 * and trust the test issuer's key under the vendor's own issuer name: `curity({ …, jwks: issuer.jwks() })`.
 */
export const fixtures: {
  readonly curity: { readonly impersonated: TokenFixture; readonly actAs: TokenFixture; readonly direct: TokenFixture }
  readonly descope: { readonly impersonated: TokenFixture; readonly direct: TokenFixture; readonly refreshToken: TokenFixture }
  readonly asgardeo: {
    readonly impersonated: TokenFixture
    readonly organizationSwitched: TokenFixture
    readonly subjectToken: TokenFixture
    readonly direct: TokenFixture
  }
  readonly homeMade: { readonly impersonated: TokenFixture; readonly direct: TokenFixture }
} = {
  curity: {
    /** Curity, "Impersonation Approaches", first token: `admin` acts, `user123` is the subject. */
    impersonated: {
      header: { typ: 'JWT' },
      claims: {
        ...CURITY,
        jti: 'e26f13a2-dde6-4f94-b9c7-49230535d8bd',
        delegationId: '6c209adb-7e3a-4608-8c99-46d8e908fc86',
        nbf: 1646641575,
        exp: 1646642175,
        iat: 1646641575,
        sub: 'user123',
        act: { sub: 'admin' },
      },
    },
    /** The second token, reversed: `sub` is the actor. Needs `curity({ actAs: true })`. */
    actAs: {
      header: { typ: 'JWT' },
      claims: {
        ...CURITY,
        jti: '1ba58403-9084-469c-ab8f-c90e36245940',
        delegationId: 'b3691c08-f57f-43da-a6ba-5d382651bcc3',
        nbf: 1646641847,
        exp: 1646642447,
        iat: 1646641847,
        sub: 'admin',
        act_as: { sub: 'user123' },
      },
    },
    direct: {
      header: { typ: 'JWT' },
      claims: {
        ...CURITY,
        jti: '3f0a4d58-2a4f-4a53-9c0e-0d2f6d1f6a11',
        delegationId: 'a8d6b9d2-5a0d-4a8c-8f0b-0e7b5d0a6f33',
        nbf: 1646641575,
        exp: 1646642175,
        iat: 1646641575,
        sub: 'user123',
      },
    },
  },
  descope: {
    /** Descope, "User Impersonation": no `aud`, no `jti`, no `scope`; `rexp` is not an expiry. */
    impersonated: {
      header: { typ: 'JWT' },
      claims: {
        act: { sub: 'U2UcRpsA4DSJ8kBvp6jikPyJ3aJ8' },
        drn: 'DS',
        exp: 1693325322,
        iat: 1693324722,
        iss: 'P2UcQcyxrjSA3mr6y0xZKRYI5oJz',
        rexp: '2023-09-26T15:58:42Z',
        sub: 'U2UcRIInQ56lEhuRtxWx1NsmgxaS',
      },
    },
    direct: {
      header: { typ: 'JWT' },
      claims: {
        drn: 'DS',
        exp: 1693325322,
        iat: 1693324722,
        iss: 'P2UcQcyxrjSA3mr6y0xZKRYI5oJz',
        rexp: '2023-09-26T15:58:42Z',
        sub: 'U2UcRIInQ56lEhuRtxWx1NsmgxaS',
        permissions: ['orders:read'],
        roles: ['Tenant Admin'],
      },
    },
    refreshToken: {
      header: { typ: 'JWT' },
      claims: {
        drn: 'DSR',
        exp: 1693925322,
        iat: 1693324722,
        iss: 'P2UcQcyxrjSA3mr6y0xZKRYI5oJz',
        sub: 'U2UcRIInQ56lEhuRtxWx1NsmgxaS',
      },
    },
  },
  asgardeo: {
    /** WSO2, "User Impersonation", the impersonated access token. */
    impersonated: {
      header: { typ: 'at+jwt' },
      claims: {
        ...ASGARDEO,
        aut: 'APPLICATION_USER',
        nbf: 1718695052,
        act: ASGARDEO_ADMIN,
        org_id: '10084a8d-113f-4211-a0d5-efe36b082211',
        scope: ASGARDEO_SCOPE,
        exp: 1718698652,
        org_name: 'bifrost',
        iat: 1718695052,
        jti: '0728d517-7968-474f-bd7d-12537ccbe436',
      },
    },
    /** The same after an organization switch: `org_id` is the sub-organization, `user_org` the home; the issuer is the one of the documented sample. */
    organizationSwitched: {
      header: { typ: 'at+jwt' },
      claims: {
        ...ASGARDEO,
        iss: 'https://localhost:9443/oauth2/token',
        aut: 'APPLICATION_USER',
        user_org: '10084a8d-113f-4211-a0d5-efe36b082211',
        nbf: 1718695072,
        act: ASGARDEO_ADMIN,
        org_id: '1558ebf6-17e0-4165-b9c0-a8117c87806b',
        scope: 'internal_login internal_org_user_mgt_list internal_org_user_mgt_view',
        exp: 1718698672,
        org_name: 'SubOrg',
        iat: 1718695072,
        jti: '066708f3-d276-4422-befe-146977de008f',
      },
    },
    /** The subject token of the same flow: same issuer, same audience, and no access token. */
    subjectToken: {
      header: { typ: 'JWT' },
      claims: {
        ...ASGARDEO,
        nbf: 1718694997,
        scope: ASGARDEO_SCOPE,
        may_act: ASGARDEO_ADMIN,
        exp: 1718712997,
        iat: 1718694997,
        jti: '66dff3b0-2828-4bc0-8a27-84aa9bd3ebdb',
      },
    },
    direct: {
      header: { typ: 'at+jwt' },
      claims: {
        ...ASGARDEO,
        aut: 'APPLICATION_USER',
        nbf: 1718695052,
        org_id: '10084a8d-113f-4211-a0d5-efe36b082211',
        scope: ASGARDEO_SCOPE,
        exp: 1718698652,
        org_name: 'bifrost',
        iat: 1718695052,
        jti: '5f8a8d1c-6f3b-4c52-9a55-1c1a2f4f0b77',
      },
    },
  },
  homeMade: {
    /** "Using JWTs for user impersonation and delegation": the original user and the permissions stand in the payload. */
    impersonated: {
      header: { typ: 'JWT' },
      claims: {
        iss: 'https://login.example.test',
        aud: 'https://api.example.test',
        sub: 'user-42',
        original_user: 'admin-7',
        permissions: ['orders:read'],
        iat: 1696291200,
        exp: 1696291800,
      },
    },
    direct: {
      header: { typ: 'JWT' },
      claims: {
        iss: 'https://login.example.test',
        aud: 'https://api.example.test',
        sub: 'user-42',
        permissions: ['orders:read', 'orders:write'],
        iat: 1696291200,
        exp: 1696291800,
      },
    },
  },
}
