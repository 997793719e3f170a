// Signs a share of a token pool; see tokens.mjs.
import { parentPort, workerData } from 'node:worker_threads'
import { signCompact } from '@behalf/testing'
import { claimsOf, headerOf, padded } from './tokens.mjs'

const { key, iss, count, delegated, more } = workerData
const tokens = []
for (let index = 0; index < count; index++) {
  const claims = padded(claimsOf(iss, { delegated, more }), key.algorithm)
  tokens.push(signCompact(headerOf(key), JSON.stringify(claims), key))
}
parentPort.postMessage(tokens.join('\n'))
