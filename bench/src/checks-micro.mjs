// What each further check adds to a request whose token is known: beside the same server without it, in pairs of the same round.
import { createServer } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { deflateSync } from 'node:zlib'
import { createResourceServer, memoryRevocations } from '@behalf/core'
import { signCompact } from '@behalf/testing'
import { CompactEncrypt, exportJWK, generateKeyPair } from 'jose'
import { AGENT_RULE, guardOptions, requestThrough } from './exchange.mjs'
import { exposedGc } from './gc.mjs'
import { inRounds, median, medianOfPairs } from './rounds.mjs'
import { fixed, printTable, progress } from './table.mjs'
import { oneByOne } from './timed-calls.mjs'
import { claimsOf, environmentOf, headerOf, padded, SCOPE } from './tokens.mjs'

const ALGORITHM = 'RS256'

/** How many entries a set of revocations holds: a token has to be looked up among them. */
const ENTRIES = 100_000

const FULL = { rounds: 21, milliseconds: 40, copies: 12_000 }
const QUICK = { rounds: 5, milliseconds: 10, copies: 3000 }

/** The token of every row, so that rows differ by what is checked alone. */
const MORE = {
  grant_id: 'grant-2b91',
  sid: 'session-77aa',
  acr: 'urn:example:mfa',
  auth_time: Math.floor(Date.now() / 1000),
  authorization_details: [{ type: 'payment', actions: ['initiate'], locations: ['https://api.bench.example'] }],
}

export async function measureChecks({ issuer, quick }) {
  const plan = quick ? QUICK : FULL
  const endpoint = await startEndpoint(issuer)
  try {
    const groups = []
    for (const group of await groupsOf(issuer, endpoint)) groups.push({ name: group.name, rows: await measureGroup(group, plan) })
    print(groups)
    return groups
  } finally {
    await endpoint.close()
  }
}

/** Each group has a server without further checks first; the same once more shows what the figures are worth. */
async function groupsOf(issuer, endpoint) {
  const environment = environmentOf(issuer)
  const key = issuer.key(ALGORITHM)
  const signed = (more, delegated = false) =>
    signCompact(
      headerOf(key),
      JSON.stringify(padded(claimsOf(issuer.issuer, { delegated, more: { ...MORE, ...more } }), ALGORITHM)),
      key,
    )
  const direct = signed({ status: { status_list: { idx: 77, uri: endpoint.listUri } } })
  const delegated = signed({}, true)
  const encrypting = await encryption()
  const issuerMore = { claims: { grant: 'grant_id', session: 'sid' } }
  const plain = (more = {}) => guardOptions(environment, undefined, { ...issuerMore, ...more })
  const rule = (more) => ({ ...plain(), delegation: [{ ...AGENT_RULE, ...more }] })
  const every = ['tokenId', 'grantId', 'sessionId', 'subject', 'actor', 'subjectAndActor']
  const check = (from, more = {}) => ({ by: every, issuer: issuer.issuer, from, ...more })
  const revocable = (checked, more = {}) => ({ ...plain(), revocation: { checks: [checked], ...more } })
  const server = (options) => createResourceServer(options)
  const filled = server(revocable(check(memoryRevocations({ maxEntries: ENTRIES })), { maxTokenLifetimeSeconds: 86_400 }))
  for (let index = 0; index < ENTRIES; index++) await filled.revoke({ issuer: issuer.issuer, tokenId: `another-${index}` })

  return [
    {
      name: 'a request',
      subjects: [
        { name: 'nothing further', token: direct, call: requestThrough(server(plain())) },
        { name: 'nothing further, once more', token: direct, call: requestThrough(server(plain())) },
        { name: `revocation, a set of ${ENTRIES} entries, six bases`, token: direct, call: requestThrough(filled) },
        {
          name: 'revocation, a function, one basis',
          token: direct,
          call: requestThrough(server(revocable(check(() => false, { by: 'tokenId' })))),
        },
        {
          name: 'status list',
          token: direct,
          call: requestThrough(server(plain({ statusList: { origins: [endpoint.origin] } }))),
        },
        {
          name: 'an encrypted token',
          token: await encrypting.encrypt(direct),
          call: requestThrough(server(plain({ decryption: { keys: [encrypting.key], algorithms: ['ECDH-ES'] } }))),
        },
        {
          name: 'an opaque token, introspected',
          token: endpoint.opaqueFor(direct),
          call: requestThrough(server(plain({ introspection: endpoint.options }))),
        },
      ],
    },
    {
      name: 'a delegated request',
      subjects: [
        { name: 'a rule that asks nobody', token: delegated, call: requestThrough(server(rule({}))) },
        { name: 'the same, once more', token: delegated, call: requestThrough(server(rule({}))) },
        { name: 'when, which answers true', token: delegated, call: requestThrough(server(rule({ when: () => true }))) },
        { name: 'when, which tells of a consent', token: delegated, call: requestThrough(server(rule({ when: consent }))) },
        {
          name: 'when, its consent kept (whenCache)',
          token: delegated,
          call: requestThrough(server(rule({ when: consent, whenCache: true }))),
        },
        { name: 'completeChain', token: delegated, call: requestThrough(server(rule({ completeChain: true }))) },
      ],
    },
    {
      name: 'a guarded request',
      subjects: [
        { name: 'a guard for scopes', token: direct, call: guarded(server(plain()), {}) },
        { name: 'the same, once more', token: direct, call: guarded(server(plain()), {}) },
        {
          name: 'acr and maxAuthAgeSeconds',
          token: direct,
          call: guarded(server(plain()), { acr: MORE.acr, maxAuthAgeSeconds: 86_400 }),
        },
        {
          name: 'authorizationDetails',
          token: direct,
          call: guarded(server(plain({ authorizationDetails: ['payment'] })), {
            authorizationDetails: { type: 'payment', actions: ['initiate'] },
          }),
        },
      ],
    },
  ]
}

const consentEnds = Math.floor(Date.now() / 1000) + 24 * 3600

function consent() {
  return { allow: true, consentId: 'consent-5c1d', expiresAt: consentEnds, ticket: 'CASE-1207' }
}

function guarded(server, more) {
  return requestThrough(server, { requirement: { scopes: SCOPE, ...more } })
}

async function encryption() {
  const { publicKey, privateKey } = await generateKeyPair('ECDH-ES', { crv: 'P-256', extractable: true })
  return {
    key: { ...(await exportJWK(privateKey)), kid: 'enc-1' },
    encrypt: (token) =>
      new CompactEncrypt(Buffer.from(token))
        .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: 'enc-1', cty: 'JWT' })
        .encrypt(publicKey),
  }
}

/** Answers about opaque tokens with the claims of a JWT, and publishes a status list in which every token is good. */
async function startEndpoint(issuer) {
  const answers = new Map()
  const key = issuer.key(ALGORITHM)
  const http = createServer((request, response) => {
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      if (request.method === 'GET') {
        response.setHeader('content-type', 'application/statuslist+jwt').end(statusList())
        return
      }
      const token = new URLSearchParams(Buffer.concat(chunks).toString()).get('token')
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answers.get(token) ?? { active: false }))
    })
  })
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${http.address().port}`
  const listUri = `${origin}/statuses/1`

  function statusList() {
    const seconds = Math.floor(Date.now() / 1000)
    const status_list = { bits: 1, lst: deflateSync(Buffer.alloc(16_384)).toString('base64url') }
    const claims = { sub: listUri, iat: seconds, exp: seconds + 86_400, ttl: 3600, status_list }
    return signCompact({ alg: ALGORITHM, kid: key.kid, typ: 'statuslist+jwt' }, JSON.stringify(claims), key)
  }
  return {
    origin,
    listUri,
    options: {
      endpoint: `${origin}/introspect`,
      clientId: 'api',
      authentication: { method: 'client_secret_basic', clientSecret: 'a secret of the benchmark' },
      cacheSeconds: 300,
    },
    opaqueFor(jwt) {
      const token = 'opaque-8d1f0b6a47c84b1d9d5d5d3b'
      answers.set(token, {
        active: true,
        token_type: 'Bearer',
        ...JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url').toString()),
      })
      return token
    },
    close: () =>
      new Promise((resolve) => {
        http.closeAllConnections()
        http.close(resolve)
      }),
  }
}

async function measureGroup({ name: group, subjects }, plan) {
  await pause(100) // connections that ended while the group before was measured are not used again
  for (const { name, token, call } of subjects) {
    if ((await call(bearer(token))) !== true) throw new Error(`${group}, ${name}: refused`)
  }
  const collectYoung = exposedGc()
  const samples = await inRounds({
    subjects,
    rounds: plan.rounds,
    warmUpRounds: 2,
    progress: (text) => progress(`micro, ${group}: ${text}`),
    measure({ token, call }) {
      const inputs = Array.from({ length: plan.copies }, () => bearer(token))
      collectYoung()
      return oneByOne(call, inputs, plan, false)
    },
  })
  const [plain] = samples.values()
  return [...samples].map(([{ name }, own]) => ({
    name,
    nanoseconds: median(own),
    extraMicroseconds: medianOfPairs(plain, own, (without, sample) => (sample - without) / 1000),
  }))
}

/** A string made anew for each use, as that of a request is. */
function bearer(token) {
  return Buffer.from(`Bearer ${token}`, 'latin1').latin1Slice()
}

function print(groups) {
  printTable(
    `What further checks add to a request whose token is known, ${ALGORITHM}`,
    ['', 'us a request', 'us beyond the first row'],
    groups.flatMap(({ name: group, rows }) =>
      rows.map(({ name, nanoseconds, extraMicroseconds }) => [
        `${group}: ${name}`,
        fixed(nanoseconds / 1000, 2),
        fixed(extraMicroseconds, 2),
      ]),
    ),
  )
}
