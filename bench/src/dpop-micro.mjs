// One request with a proof of possession, without HTTP: beside the raw primitives, and beside a bearer token.
import { createPublicKey, verify as cryptoVerify } from 'node:crypto'
import { createResourceServer } from '@behalf/core'
import { PEER } from './dpop-guards.mjs'
import { boundToken, createClients, signPairs, trials, withTokens } from './dpop-pairs.mjs'
import { dpopBearerMiddleware, dpopByHand, dpopOptions } from './dpop-peers.mjs'
import { ORIGIN } from './dpop-target.mjs'
import { guardOptions, requestThrough } from './exchange.mjs'
import { exposedGc } from './gc.mjs'
import { calledAlone, primitiveOf } from './peers.mjs'
import { inRounds, median, medianOfPairs } from './rounds.mjs'
import { fixed, printTable, progress, whole } from './table.mjs'
import { manyAtOnce, oneByOne } from './timed-calls.mjs'
import { environmentOf, partsOf } from './tokens.mjs'

const ALGORITHM = 'RS256'
const AT_ONCE = 32
const FLOOR = 'crypto.verify'
const NOT_CONFIGURED = 'DPoP not configured'
const ALLOWED = 'DPoP allowed'

/** More than a server keeps the keys of: each of them is read anew. */
const MANY_CLIENTS = 2000

const FULL = { rounds: 9, milliseconds: 50, pairs: 700, bearers: 12_000 }
const QUICK = { rounds: 2, milliseconds: 12, pairs: 200, bearers: 6000 }

export async function measureMicro({ issuer, quick }) {
  const plan = quick ? QUICK : FULL
  const environment = environmentOf(issuer)
  const proofs = []
  for (const way of waysOf(issuer, plan)) {
    const rows = await measureWay(way, { issuer, environment, plan })
    proofs.push({ name: way.name, rows })
  }
  printProofs(proofs)
  const bearer = await measureBearer({ issuer, environment, plan })
  printBearer(bearer)
  return { proofs, bearer }
}

/**
 * @typedef {object} Way how requests come
 * @property {string} name
 * @property {boolean} cold each with a new token
 * @property {(round: number) => object[]} clientsOf whose requests a round has
 * @property {readonly object[]} known clients whose tokens every guard has seen before
 */

/** @returns {readonly Way[]} */
function waysOf(issuer, { pairs }) {
  const one = createClients(1)
  const steady = withTokens(one, issuer, ALGORITHM)
  const many = withTokens(createClients(MANY_CLIENTS), issuer, ALGORITHM)
  // Each round goes on where the last one ended: whoever comes again comes after all others.
  const turn = (round) => Array.from({ length: pairs }, (_, index) => many[((round + 1) * pairs + index) % many.length])
  return [
    { name: 'cold, one client', cold: true, clientsOf: () => one, known: [] },
    { name: 'cold, a new client each time', cold: true, clientsOf: () => createClients(pairs), known: [] },
    { name: 'hot, one client', cold: false, clientsOf: () => steady, known: steady },
    { name: `hot, ${whole(many.length)} clients`, cold: false, clientsOf: turn, known: many },
  ]
}

/** Each is called with one request, and throws or rejects where it refuses. `input`: what it is called with; `remembers`: keeps what it has verified. */
async function subjectsOf({ cold }, environment) {
  const server = createResourceServer(dpopOptions(environment))
  const byHand = dpopByHand(environment, ALGORITHM)
  return [
    { name: FLOOR, kind: 'floor', input: partsOfPair, call: rawVerify(environment, cold) },
    {
      name: 'by hand',
      kind: 'floor',
      remembers: true,
      input: textsOfPair,
      call: ({ token, proof }) => byHand(token, proof, 'GET'),
    },
    { name: 'behalf', kind: 'behalf', remembers: true, input: headersOfPair, call: spread(requestThrough(server)) },
    {
      name: PEER,
      kind: 'peer',
      input: headersOfPair,
      call: spread(calledAlone(await dpopBearerMiddleware(environment, ALGORITHM), ORIGIN)),
    },
  ]
}

const spread = (call) => (fields) => call(fields.authorization, fields.proof)

/** The signatures that have to be proved, and nothing else: the token's, where it is new, and the proof's. */
function rawVerify(environment, cold) {
  const { digest, options } = primitiveOf(environment, ALGORITHM)
  return ({ token, proof, clientKey }) => {
    const holds =
      (!cold || cryptoVerify(digest, token.signed, options, token.signature)) &&
      cryptoVerify('sha256', proof.signed, { key: clientKey, dsaEncoding: 'ieee-p1363' }, proof.signature)
    if (!holds) throw new Error('signature')
    return true
  }
}

/** Strings made anew for each use, as those of a request are. */
function textsOfPair(line) {
  const [token, proof] = line.split(' ')
  return { token: flat(token), proof: flat(proof) }
}

function headersOfPair(line) {
  const [token, proof] = line.split(' ')
  return { authorization: flat(`DPoP ${token}`), proof: flat(proof) }
}

function flat(text) {
  return Buffer.from(text, 'latin1').latin1Slice()
}

function partsOfPair(line) {
  const [token, proof] = line.split(' ').map((text) => Buffer.from(text, 'latin1'))
  const { jwk } = JSON.parse(Buffer.from(proof.latin1Slice().split('.', 1)[0], 'base64url').toString())
  return { token: partsOf(token), proof: partsOf(proof), clientKey: createPublicKey({ key: jwk, format: 'jwk' }) }
}

async function measureWay(way, { issuer, environment, plan }) {
  const subjects = await subjectsOf(way, environment)
  for (const subject of subjects) await checkThatItGuards(subject, issuer)
  await introduce(way, subjects, issuer)
  const collectYoung = exposedGc()
  let current = { round: null, lines: [] }
  const samples = await inRounds({
    subjects,
    rounds: plan.rounds,
    warmUpRounds: 1,
    progress: (text) => progress(`micro DPoP ${way.name}: ${text}`),
    async measure({ input, call }, round) {
      if (current.round !== round) current = { round, lines: await signWay(way, issuer, round, plan.pairs) }
      const inputs = current.lines.map(input)
      const half = inputs.length / 2
      collectYoung()
      const apart = await oneByOne(call, inputs.slice(0, half), plan, true)
      return { apart, together: await manyAtOnce(call, inputs.slice(half), plan, AT_ONCE) }
    },
  })
  return summarize(samples)
}

function signWay({ clientsOf }, issuer, round, count) {
  return signPairs({ issuer, algorithm: ALGORITHM, clients: clientsOf(round), count })
}

/** A guard that remembers tokens has met those of the known clients. */
async function introduce({ known }, subjects, issuer) {
  if (known.length === 0) return
  const lines = await signPairs({ issuer, algorithm: ALGORITHM, clients: known, count: known.length })
  for (const { input, call } of subjects.filter(({ remembers }) => remembers)) {
    for (const line of lines) await call(input(line))
  }
}

/** The primitives know nothing but signatures; everybody else must refuse whatever is refused over HTTP. */
async function checkThatItGuards({ name, input, call }, issuer) {
  const cases = trials(issuer, ALGORITHM).filter(({ token, proof }) => token !== null && proof !== null)
  for (const { what, token, proof, good } of name === FLOOR ? cases.filter((trial) => trial.good) : cases) {
    const accepted = await Promise.resolve()
      .then(() => call(input(`${token} ${proof}`)))
      .then(Boolean, () => false)
    if (accepted !== good) throw new Error(`${name} ${accepted ? 'accepts' : 'refuses'} ${what}`)
  }
}

function summarize(samples) {
  const floor = [...samples].find(([{ name }]) => name === FLOOR)[1]
  return [...samples].map(([{ name, kind }, own]) => {
    const of = (way) => ({
      nanoseconds: median(own.map((sample) => sample[way])),
      ratio: medianOfPairs(floor, own, (raw, sample) => raw[way] / sample[way]),
      beyondMicroseconds: medianOfPairs(floor, own, (raw, sample) => (sample[way] - raw[way]) / 1000),
    })
    return { name, kind, apart: of('apart'), together: of('together') }
  })
}

function printProofs(ways) {
  printTable(
    `DPoP: requests a second without HTTP, ${ALGORITHM} tokens and ES256 proofs, and their ratio to the bare crypto.verify of the same round`,
    ['', 'one by one /s', 'ratio', 'us beyond it', `${AT_ONCE} at once /s`, 'ratio'],
    ways.flatMap(({ name: way, rows }) =>
      rows.map(({ name, apart, together }) => [
        `${way}: ${name}`,
        whole(1e9 / apart.nanoseconds),
        fixed(apart.ratio),
        fixed(apart.beyondMicroseconds, 1),
        whole(1e9 / together.nanoseconds),
        fixed(together.ratio),
      ]),
    ),
  )
}

/** What a server that takes proofs too asks of a bearer token; the same server twice shows what the figures are worth. */
async function measureBearer({ issuer, environment, plan }) {
  const server = (options) => requestThrough(createResourceServer(options))
  const subjects = [
    { name: NOT_CONFIGURED, call: server(guardOptions(environment)) },
    { name: 'DPoP not configured, once more', call: server(guardOptions(environment)) },
    { name: ALLOWED, call: server(dpopOptions(environment, { mode: 'allow' })) },
  ]
  const token = boundToken(issuer, ALGORITHM, null)
  for (const { call } of subjects) await call(flat(`Bearer ${token}`))
  const collectYoung = exposedGc()
  const samples = await inRounds({
    subjects,
    rounds: plan.rounds * 3,
    warmUpRounds: 2,
    progress: (text) => progress(`micro DPoP, bearer tokens: ${text}`),
    measure({ call }) {
      const inputs = Array.from({ length: plan.bearers }, () => flat(`Bearer ${token}`))
      collectYoung()
      return oneByOne(call, inputs, plan, false)
    },
  })
  const [plain] = samples.values()
  return [...samples].map(([{ name }, own]) => ({
    name,
    nanoseconds: median(own),
    extraNanoseconds: medianOfPairs(plain, own, (without, sample) => sample - without),
  }))
}

function printBearer(rows) {
  printTable(
    'Bearer tokens, hot, without HTTP: what it costs that a server takes proofs too',
    ['', 'ns', 'more than not configured'],
    rows.map(({ name, nanoseconds, extraNanoseconds }) => [name, whole(nanoseconds), whole(extraNanoseconds)]),
  )
}
