import { timingSafeEqual } from 'node:crypto'
import { checkTokenType } from '../claims/token-type.js'
import { AuthError, ConfigError } from '../errors.js'
import { ListedIssuers } from '../issuers/registry.js'
import type { HttpAnswer } from '../request-view.js'
import type { Revocation } from '../revocation/revocation.js'
import { RevocationError } from '../revocation/revocation-set.js'
import { createSignatureProver } from '../signature-proof.js'
import { inTime } from '../thenable.js'
import { frozen, type JsonObject } from '../token/json.js'
import { parseJwt, type UnverifiedJwt } from '../token/jwt.js'
import { ACCEPTED, ONLY_POST, refused, type SetRefusal, TOO_LARGE, unavailable } from './answers.js'
import { type Happening, happeningsIn } from './events.js'
import { authorizationHash, type SecurityEventSettings, type Transmitter } from './options.js'
import { checkSet } from './security-event-token.js'
import { isNeeded, sessionSubject, type Target, userSubject, type Ways } from './subject.js'
import { createNotice } from './unprocessed.js'

/** A push (RFC 8935 2.1), as an adapter shows it. */
export interface Push {
  /** The method of the request. */
  readonly method: string
  /** The `Content-Type` field; `null` where there is none. */
  readonly contentType: string | null
  /** The value of every `Authorization` field line. */
  readonly authorization: readonly string[]
  /** The whole body, as it was sent. */
  readonly body: Uint8Array | string
}

/** Receives security events. */
export interface SecurityEventReceiver {
  /**
   * Verifies a SET, does what it asks for, and answers (RFC 8935 2.2, 2.3): 202 when everything is kept, 400 where the SET is refused, 503
   * where it should come again. Rejects with {@link ConfigError} alone: nothing is asked by some of what the event names, so that this goes on.
   */
  receive(push: Push): Promise<HttpAnswer>
  /** What can be said before the body is read; `null`: it is needed. */
  refuseEarly(push: Pick<Push, 'method' | 'contentType'>): HttpAnswer | null
  /** Stops timers. */
  close(): void
}

/** Largest SET, in bytes of its compact form: signature and chain of reasons fit many times. */
export const MAX_SET_BYTES: number = 64 * 1024

/** How long a set of revocations may take to keep an entry, in milliseconds: a transmitter waits for the answer. */
const KEEP_MILLISECONDS = 5_000

/** RFC 8935 2.1; parameters are allowed, and mean nothing. */
const SET_CONTENT = /^application\/secevent\+jwt[\t ]*(?:;|$)/i

/**
 * @param revoke resolves when a revocation is kept; rejects with {@link ConfigError} where nothing would be asked about it, with
 *   {@link RevocationError} where it cannot be kept
 */
export function createSecurityEventReceiver(
  settings: SecurityEventSettings,
  revoke: (revocation: Revocation) => Promise<void>,
): SecurityEventReceiver {
  const { transmitters, limits, now, toleranceSeconds } = settings
  const issuers = new ListedIssuers(new Map([...transmitters].map(([name, { issuer }]) => [name, issuer])))
  const prover = createSignatureProver({ issuers, limits })
  const notice = createNotice(settings.onUnprocessed, now)
  const bounds = { tokenBytes: MAX_SET_BYTES, jsonDepth: limits.jsonDepth }

  /** One line a step; a refusal of a step is the answer. */
  async function take({ authorization, body }: Push): Promise<HttpAnswer> {
    const jwt = parseJwt(textOf(body), bounds, NO_HEADERS)
    if (jwt === null) return refused('malformed')
    const transmitter = transmitterOf(jwt)
    if (transmitter === null) return refused('issuer')
    const early = checkHeader(jwt, transmitter) ?? checkAuthorization(authorization, transmitter)
    if (early !== null) return refused(early)
    await prover.prove(jwt, null)
    const claims = frozen(jwt.unverifiedClaims)
    const refusal = checkSet(checkInput(jwt, claims, transmitter))
    if (refusal !== null) return refused(refusal)
    return heed(claims, transmitter)
  }

  function transmitterOf({ unverifiedClaims: { iss } }: UnverifiedJwt): Transmitter | null {
    return (typeof iss === 'string' ? transmitters.get(iss) : undefined) ?? null
  }

  function checkInput({ unverifiedHeader }: UnverifiedJwt, claims: JsonObject, { issuer }: Transmitter) {
    return { header: unverifiedHeader, claims, policy: issuer.claims, limits, nowSeconds: now() / 1000, toleranceSeconds }
  }

  function checkHeader(jwt: UnverifiedJwt, transmitter: Transmitter): SetRefusal | null {
    return checkTokenType(checkInput(jwt, jwt.unverifiedClaims, transmitter)) === null ? null : 'type'
  }

  /** Does what the events ask for. What cannot be done for want of a subject that names tokens is told to the application. */
  async function heed(claims: JsonObject, transmitter: Transmitter): Promise<HttpAnswer> {
    const { events, sub_id, toe, iat } = claims
    const happenings = happeningsIn({ events, sub_id, toe, iat: iat as number }, toleranceSeconds) // checkSet has looked
    if (typeof happenings === 'string') return refused(happenings)
    const reader = { ...transmitter, limits }
    const asked = happenings.map((happening) => ({
      happening,
      ways: happening.event === 'session-revoked' ? sessionSubject(sub_id, reader) : userSubject(sub_id, reader),
    }))
    if (asked.some(({ ways }) => ways === 'malformed')) return refused('subject')
    let answer = ACCEPTED
    let mistake: ConfigError | null = null
    for (const { happening, ways } of asked) {
      if (typeof ways !== 'string') {
        mistake = (await endOneWay(ways, happening, transmitter)) ?? mistake
      } else if (ways !== 'malformed') {
        notice({ transmitter: transmitter.issuer.issuer, event: happening.event, reason: ways })
        if (ways === 'subject_not_expected') answer = refused(ways)
      }
    }
    if (mistake !== null) throw mistake
    return answer
  }

  /**
   * Ends what is named in the narrowest way that all of it is asked by.
   * @returns the mistake of the application for which there is none; whatever can be ended is, all the same
   */
  async function endOneWay(ways: Ways, { event, at }: Happening, { issuer }: Transmitter): Promise<ConfigError | null> {
    let mistake: ConfigError | null = null
    for (const targets of ways) {
      const ended = await Promise.all(targets.map(async (target) => ({ target, failure: await end(target, at) }))).catch(() => {
        notice({ transmitter: issuer.issuer, event, reason: 'not_kept' })
        throw new RevocationError('unavailable') // whatever it was: nothing of it goes on
      })
      const kept = ended.flatMap(({ target, failure }) => (failure === null ? [target] : []))
      mistake = ended.find(({ target, failure }) => failure !== null && isNeeded(target, kept))?.failure ?? null
      if (mistake === null) break
    }
    return mistake
  }

  /** @returns the mistake of the application for which it is not kept; `null`: it is */
  async function end(target: Target, at: number): Promise<ConfigError | null> {
    const revocation = 'tokenId' in target ? target : { ...target, at }
    try {
      await inTime(revoke(revocation), KEEP_MILLISECONDS, () => {
        throw new RevocationError('unavailable')
      })
      return null
    } catch (error) {
      if (error instanceof ConfigError) return error
      throw error
    }
  }

  function refuseEarly({ method, contentType }: Pick<Push, 'method' | 'contentType'>): HttpAnswer | null {
    if (method !== 'POST') return ONLY_POST
    return contentType !== null && SET_CONTENT.test(contentType) ? null : refused('content_type')
  }

  return {
    async receive(push) {
      const early = refuseEarly(push)
      if (early !== null) return early
      if (push.body.length > MAX_SET_BYTES) return TOO_LARGE
      try {
        return await take(push)
      } catch (error) {
        if (error instanceof RevocationError) return unavailable(limits.retryAfterSeconds)
        if (error instanceof AuthError) return answerTo(error, limits.retryAfterSeconds)
        throw error
      }
    },
    refuseEarly,
    close: () => issuers.close(),
  }
}

const NO_HEADERS: ReadonlyMap<string, JsonObject> = new Map()

/** A SET is ASCII: what is no base64url in it is refused with the rest. */
function textOf(body: Uint8Array | string): string {
  return typeof body === 'string' ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1')
}

/** The field that was agreed upon, once (RFC 8935 3). Nothing of the comparison shows in its time. */
function checkAuthorization(lines: readonly string[], { authorization }: Transmitter): SetRefusal | null {
  if (authorization === null) return null
  const [line, ...others] = lines
  if (line === undefined || others.length > 0) return 'authorization'
  return timingSafeEqual(authorizationHash(line), authorization) ? null : 'authorization'
}

/** What a proof of a signature that failed is told as. */
function answerTo({ code, headers }: AuthError, retryAfterSeconds: number): HttpAnswer {
  switch (code) {
    case 'signature_invalid':
      return refused('signature')
    case 'key_unknown':
    case 'algorithm_refused':
      return refused('key')
    case 'token_malformed':
      return refused('malformed')
    default: // the keys cannot be read now
      return unavailable(Number(headers['retry-after'] ?? retryAfterSeconds))
  }
}
