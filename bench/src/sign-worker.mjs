// Signs a share of a pool, each token a line; see tokens.mjs. For clients that hold a key, each with its proof; see dpop-pairs.mjs.
import { parentPort, workerData } from 'node:worker_threads'
import { createDpopClient, signCompact } from '@behalf/testing'
import { TARGET } from './dpop-target.mjs'
import { claimsOf, headerOf, padded } from './tokens.mjs'

const { key, iss, first, end, delegated, more, clients } = workerData

function sign(extra) {
  const claims = padded(claimsOf(iss, { delegated, more: extra }), key.algorithm)
  return signCompact(headerOf(key), JSON.stringify(claims), key)
}

/** Signs for every client: a client's key may come from another thread, the client itself can not. */
const scribe = createDpopClient()

function signPair({ key: own, jwk, jkt, token = sign({ cnf: { jkt } }) }) {
  return `${token} ${scribe.proof('GET', TARGET, { token, key: own, header: { jwk } })}`
}

const lines = []
for (let index = first; index < end; index++) {
  lines.push(clients === undefined ? sign(more) : signPair(clients[index % clients.length]))
}
parentPort.postMessage(lines.join('\n'))
