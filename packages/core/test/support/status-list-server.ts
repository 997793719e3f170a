import { deflateSync } from 'node:zlib'
import type { Algorithm, JsonObject, Limits } from '@behalf/core'
import { type SigningKey, signCompact } from '@behalf/testing'
import { onTestFinished } from 'vitest'
import type { KeySet } from '../../src/keys/key-set.js'
import { StaticKeySet } from '../../src/keys/static-key-set.js'
import { DEFAULT_LIMITS } from '../../src/limits.js'
import {
  resolveStatusList,
  type StatusListEnvironment,
  type StatusListOptions,
} from '../../src/status-list/status-list-options.js'
import type { StatusLists } from '../../src/status-list/status-lists.js'
import { clock, KEY, START } from './key-apis.js'
import { type Answer, createKeyServer, type KeyServer } from './key-server.js'

export const SECONDS: number = START / 1000

/** A server of an issuer that publishes status lists; its every answer is the test's. */
export interface StatusListServer extends KeyServer {
  /** Where its list is. */
  readonly uri: string
  /** `Accept` of each request. */
  readonly accepts: (string | undefined)[]
  /** Answers with a list token from now on. */
  publish(list: ListDraft, headers?: Record<string, string>): void
}

export async function createStatusListServer(): Promise<StatusListServer> {
  const server = await createKeyServer()
  const accepts: (string | undefined)[] = []
  const uri = `${server.origin}/lists/1`
  return Object.assign(server, {
    uri,
    accepts,
    publish(draft: ListDraft, headers: Record<string, string> = {}) {
      const serve = text(listToken(uri, draft), headers)
      server.answer = (request, response) => {
        accepts.push(request.headers.accept)
        serve(request, response)
      }
    },
  })
}

/** 200 with a status list token, or with any text that is no such one. */
export function text(body: string | Buffer, headers: Record<string, string> = {}): Answer {
  return (_request, response) => response.writeHead(200, { 'content-type': 'application/statuslist+jwt', ...headers }).end(body)
}

/** What a list token says; the rest is good. */
export interface ListDraft {
  readonly bits?: unknown
  /** The statuses, as bytes before they are deflated. */
  readonly bytes?: Uint8Array
  /** In place of them. */
  readonly lst?: unknown
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
  readonly key?: SigningKey
}

export function listToken(uri: string, draft: ListDraft = {}): string {
  const { bits = 1, bytes = Uint8Array.of(0), lst = deflated(bytes), claims = {}, header = {}, key = KEY } = draft
  const payload = { sub: uri, iat: Math.floor(clock.time / 1000), status_list: { bits, lst }, ...claims }
  return signCompact(
    { alg: key.algorithm, kid: key.kid, typ: 'statuslist+jwt', ...header } as JsonObject,
    JSON.stringify(payload),
    key,
  )
}

export const deflated = (bytes: Uint8Array): string => deflateSync(bytes).toString('base64url')

/** Statuses of some bits each, packed as the draft says: written anew, in its own words, and not by the code under test. */
export function packed(bits: number, statuses: readonly number[]): Uint8Array {
  const places = statuses.flatMap((status) => Array.from({ length: bits }, (_, at) => (status >> at) & 1))
  const bytes = new Uint8Array(Math.ceil(places.length / 8))
  for (const [place, bit] of places.entries()) bytes[place >> 3] = (bytes[place >> 3] ?? 0) | (bit << (place & 7))
  return bytes
}

export interface ListSettings extends StatusListOptions {
  readonly issuer?: string
  readonly keys?: KeySet
  readonly algorithms?: readonly Algorithm[]
  readonly limits?: Partial<Limits>
  readonly environment?: Partial<StatusListEnvironment>
}

export const keysOf = (...keys: readonly SigningKey[]): KeySet =>
  new StaticKeySet({ keys: keys.map(({ jwk }) => jwk) }, 'jwks', DEFAULT_LIMITS)

/** Status lists of a server's issuer, by the tests' clock; pauses and refreshes fall on the middle of what they can be. */
export function statusListsAt(server: Pick<KeyServer, 'origin'>, settings: ListSettings = {}): StatusLists {
  const { issuer = server.origin, keys = keysOf(KEY), algorithms = ['EdDSA'], limits, environment, ...options } = settings
  const lists = resolveStatusList(options, 'issuers[0].statusList', {
    issuer,
    keys,
    algorithms: new Set(algorithms),
    fetch: globalThis.fetch,
    now: clock.now,
    limits: { ...DEFAULT_LIMITS, ...limits },
    random: () => 0.5,
    toleranceSeconds: 5,
    screen: null,
    ...environment,
  })
  onTestFinished(() => lists.close())
  return lists
}
