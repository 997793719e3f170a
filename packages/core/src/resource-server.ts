import type { AuditResult } from './audit/event.js'
import { createRecorder } from './audit/recorder.js'
import type { Presentation } from './binding/bind.js'
import { booleanAt, membersOf, optional } from './config-shape.js'
import { type AuthContext, type DelegatedContext, isDelegated } from './delegation/context.js'
import { ApplicationError, AuthError, ConfigError } from './errors.js'
import { createGuard } from './guard.js'
import { createKeyControl, type KeyControl } from './key-control.js'
import { createMarks } from './marks.js'
import { metadataAnswer } from './metadata.js'
import { type ResourceServerOptions, resolveOptions } from './options.js'
import { compileRequirement, type Requirement } from './policy/requirement.js'
import { isRefused, type ProvenToken, type RefusedToken } from './proven-token.js'
import { createRefusals } from './refusals.js'
import type { HttpAnswer, RequestView, ResponseView } from './request-view.js'
import type { Revocation } from './revocation/revocation.js'
import { createRulesStep } from './rules-step.js'
import { createSecurityEventReceiver, type SecurityEventReceiver } from './security-events/receiver.js'
import { refusalChannel, verificationChannel } from './telemetry.js'
import { andThen, attempt, type Eventual, orRejected } from './thenable.js'
import { type Credentials, isBearerToken, readCredentials } from './token/credentials.js'
import { VerifiedCache } from './token/verified-cache.js'
import { createVerifier } from './verifier.js'
import { createVisit, createVisitLog, type Passage, type RefusalRecord, type RefusalStage, type Visit } from './visit.js'

/** One request and its response, as an adapter shows them. */
export interface Exchange {
  /** The object that stands for the request in every call: Node's own request. */
  readonly key: object
  /** The request, as it is asked until the response has ended. */
  readonly request: RequestView
  /** The response whose end is the outcome. */
  readonly response: ResponseView
}

/** Options of `authenticate()`. */
export interface AuthenticateOptions {
  /** Let a request without any credentials go on without a context. Bad credentials are refused all the same. Default `false`. */
  readonly optional?: boolean
}

/** The framework-free resource server that the adapters stand on. */
export interface ResourceServer {
  /**
   * Verifies, binds, applies the rules and records. After it no delegated call exists that no rule admitted and no sink accepted.
   * @returns a step; it answers at once where nothing has to be waited for, and refuses with a promise rejected by {@link AuthError}
   */
  authenticate(options?: AuthenticateOptions): (exchange: Exchange) => Eventual<Passage>
  /**
   * A route's requirement. Reads the server's own record of the request, never a property of it.
   * @returns a step; it answers at once where nothing has to be waited for, and refuses with a promise rejected by
   *   {@link AuthError}; by {@link ConfigError} where `authenticate()` did not run
   */
  guard(...requirement: readonly [] | readonly [requirement: Requirement]): (key: object) => Eventual<void>
  /** The context; `null` only for an anonymous call that `optional` let in. Throws {@link ConfigError} where there is no record. */
  contextOf(key: object): AuthContext | null
  /** The context of a delegated call; throws {@link ConfigError} for any other. */
  delegatedContextOf(key: object): DelegatedContext
  /** Proof and context of a token, without rules, requirement or record. Throws {@link AuthError}. */
  verify(token: string): Promise<AuthContext>
  /**
   * Resolves when every configured issuer has keys that can prove signatures, fetching those that are missing; rejects with
   * {@link AuthError} `keys_unavailable` where one could not be read now. Waits for the memory of used proofs too, without a limit
   * of its own (`replay_unavailable`), and for shared revocations (`revocation_unavailable`). For readiness probes, which ask again by themselves. Where `issuers` is a function there are
   * no keys to wait for.
   */
  ready(): Promise<void>
  /** The keys of the issuers: for emergencies, and for people who look. */
  readonly keys: KeyControl
  /**
   * Ends tokens before their time: they are refused with `token_revoked` from the next request on, also where they are remembered.
   * Resolves when every set that is asked about it has it; what is shared may take the other replicas up to a second. Rejects with
   * {@link RevocationError} where a set is full or cannot be reached, and with {@link ConfigError} where no set would be asked, or no token can have such a name: what other
   * sets have taken by then stays revoked. Needs the option `revocation`.
   */
  revoke(revocation: Revocation): Promise<void>
  /** Who receives security events that are pushed to this API (RFC 8935). Throws {@link ConfigError} where the option `securityEvents` is not given. */
  securityEvents(): SecurityEventReceiver
  /** What the API says about itself (RFC 9728), for whoever asks for it. Throws {@link ConfigError} where the option `metadata` is not given. */
  metadata(): (request: RequestView) => HttpAnswer | null
  /** Flushes and closes the sinks, and waits for them without a limit of its own; tells of lost events not yet told. Then closes the memory of used proofs. Stops timers. */
  close(): Promise<void>
  /** Whether an adapter answers refusals itself, or hands them to its framework. */
  readonly refusals: 'respond' | 'forward'
  /** Name of the context on the framework's request. */
  readonly contextProperty: string
  /** Whether a guard can still change the context of an admitted call, as it does in `report` mode. */
  readonly contextCanChange: boolean
}

/**
 * Creates a resource server. Everything that can be wrong in its options is thrown here.
 * @throws {ConfigError}
 */
export function createResourceServer(options: ResourceServerOptions): ResourceServer {
  const settings = resolveOptions(options)
  const { now, issuers, binder, revocations } = settings
  const cache =
    settings.cache === null ? null : new VerifiedCache<ProvenToken>(settings.cache.maxEntries, settings.cache.maxBytes)
  const verifier = createVerifier({ ...settings, cache })
  const recorder = createRecorder(settings.audit, now)
  const log = createVisitLog(recorder, settings.audit.unrecorded, now)
  const refusals = createRefusals(settings)
  const { errorOf, told } = refusals
  const rules = createRulesStep(settings, log, refusals)
  const guard = createGuard(settings, log, refusals, rules)
  const visits = createMarks<Visit>()
  const { ready, keys } = createKeyControl(settings, verifier)
  const receiver =
    settings.securityEvents === null || revocations === null
      ? null
      : createSecurityEventReceiver(settings.securityEvents, (event) => revocations.revoke(event, 'a security event'))
  if (settings.mode === 'report') {
    process.emitWarning("behalf: mode 'report' lets calls through that no delegation rule admits", { code: 'BEHALF_REPORT_MODE' })
  }

  if (settings.warmUp) ready().catch(() => {}) // requests and probes ask again

  /** A request's way up to its handler; the picture in `docs/architecture.md`. */
  function admit(visit: Visit, response: ResponseView, anonymousToo: boolean): Eventual<Passage> {
    const note: Note = (stage, error, details) => log.refused(visit, stage, error, details)
    const credentials = readToken(visit, note)
    if (credentials === null) return admitAnonymous(visit, anonymousToo)
    const { token, scheme } = credentials
    visit.scheme = scheme
    binder.prepare?.(visit.view)
    const recalled = verifier.recall(token)
    if (recalled === undefined) checkShape(token, note)
    return andThen(verify(token, recalled, note), (proven) => {
      visit.proven = proven
      const exchange = { request: visit.view, response }
      const bound = () => bind(proven, { scheme, anew: proven !== recalled, exchange }, note)
      const goOn = () => andThen(bound(), () => andThen(rules.apply(visit, proven), () => record(visit, response)))
      return notEnded === null ? goOn() : andThen(notEnded(proven, note), goOn)
    })
  }

  function readToken({ view }: Visit, note: Note): Credentials | null {
    try {
      return readCredentials(view, settings.credentialsFrom, settings.dpop !== null)
    } catch (error) {
      throw error instanceof AuthError ? refuse(note, 'credentials', error) : new ApplicationError(error)
    }
  }

  function checkShape(token: string, note: Note): void {
    if (!isBearerToken(token)) throw refuse(note, 'credentials', new AuthError('credentials_malformed'))
  }

  function admitAnonymous(visit: Visit, anonymousToo: boolean): Passage {
    if (!anonymousToo) {
      const error = new AuthError('credentials_missing')
      log.refused(visit, 'credentials', error)
      throw told(visit.scheme, error)
    }
    visit.state = 'anonymous'
    return 'go_on'
  }

  /** Proof, and what can have changed under it since: a cache hit skips the proof, never the rest. */
  function verify(token: string, recalled: ProvenToken | undefined, note: Note): Eventual<ProvenToken> {
    const answer = verificationChannel.heard ? measured(token, recalled) : verifier.verify(token, recalled)
    return andThen(answer, (proven) => {
      if (isRefused(proven)) throw refuse(note, 'verify', proven.error, proven)
      return proven
    })
  }

  function measured(token: string, recalled: ProvenToken | undefined): Eventual<ProvenToken | RefusedToken> {
    const started = performance.now()
    return andThen(verifier.verify(token, recalled), (proven) => {
      verificationChannel.publish({
        reason: isRefused(proven) ? proven.error.code : null,
        cache: cache === null ? 'off' : proven === recalled ? 'hit' : 'miss',
        issuer: isRefused(proven) ? proven.evidence.issuer : proven.issuer.issuer,
        durationMilliseconds: performance.now() - started,
      })
      return proven
    })
  }

  /** What its issuer or this API has said about the token since it was issued: asked for each request. `null`: nobody is asked, and there is no such step. */
  const { judge: judgeEnding } = settings.notEnded
  const notEnded =
    judgeEnding === null
      ? null
      : (proven: ProvenToken, note: Note): Eventual<void> =>
          andThen(judgeEnding(proven), (error) => {
            if (error !== null) throw refuse(note, 'verify', error, { context: proven.context })
          })

  /** A token that is bound to its sender (RFC 7800 3.1) is presented by that sender. Asked for each request, also on a cache hit. */
  function bind(
    { token, confirmation, issuer, context }: ProvenToken,
    how: Pick<Presentation, 'scheme' | 'anew' | 'exchange'>,
    note: Note,
  ): Eventual<void> {
    return andThen(binder.bind({ token, confirmation, policy: issuer.binding, ...how }), (refusal) => {
      if (refusal !== null) throw refuse(note, 'bind', errorOf(refusal), { context })
    })
  }

  /** The decision is accepted by the sinks before the handler runs; then the response's end brings the one outcome. */
  function record(visit: Visit, response: ResponseView): Eventual<Passage> {
    if (!log.wants(visit)) {
      visit.state = 'admitted'
      return 'go_on'
    }
    return andThen(log.admitted(visit, 'rules'), (goesOn) => {
      if (!goesOn) {
        log.ended(visit, 'not_run', null) // a sink may have taken the decision, or take it yet
        const error = errorOf('audit_unavailable')
        if (refusalChannel.heard) refusalChannel.publish({ code: error.code, status: error.status, stage: 'rules' })
        throw error
      }
      visit.state = 'admitted'
      if (response.ended) {
        log.ended(visit, 'not_run', null)
        return 'client_gone'
      }
      response.onEnd((finished) => {
        const { status } = response
        log.ended(visit, resultOf(visit, finished, status), status)
      })
      return 'go_on'
    })
  }

  /** Nothing is done twice; but a place that takes nobody anonymous must not rely on one that does. */
  function passAgain(visit: Visit, anonymousToo: boolean): Eventual<Passage> {
    if (visit.passage === null)
      throw new ConfigError('authenticate() was called from within itself: by a sink, a hook or credentials.from')
    return andThen(visit.passage, (passage) => {
      if (visit.state === 'anonymous') admitAnonymous(visit, anonymousToo)
      return passage
    })
  }

  /** Takes note that a request's way ended here. Frameworks take a falsy error for none, and a text for a command. */
  function refused(visit: Visit, error: unknown): Error {
    const failure = error instanceof Error ? told(visit.scheme, error) : new ApplicationError(error)
    visit.state = 'refused'
    visit.failure = failure
    return failure
  }

  function visitOf(key: object): Visit {
    const visit = visits.get(key)
    if (visit === undefined || visit.state === 'under_way') {
      throw new ConfigError(
        'this request was not authenticated by this server: put its authenticate() before whatever asks for the context',
      )
    }
    if (visit.state === 'refused') throw visit.failure
    return visit
  }

  return {
    refusals: settings.refusals,
    contextProperty: settings.contextProperty,
    contextCanChange: settings.mode === 'report',

    authenticate(authenticateOptions = {}) {
      const members = membersOf(authenticateOptions, 'authenticate()', ['optional'])
      const anonymousToo = optional(members, 'optional', 'authenticate()', booleanAt, false)
      return ({ key, request, response }) => {
        const earlier = visits.get(key)
        if (earlier !== undefined) return orRejected(() => passAgain(earlier, anonymousToo))
        const visit = createVisit(request, now())
        visits.put(key, visit)
        visit.passage = attempt(
          () => admit(visit, response, anonymousToo),
          (passage) => passage,
          (error) => Promise.reject(refused(visit, error)),
        )
        return visit.passage
      }
    },

    guard(...given) {
      // `guard()` is open to every verified call; a requirement that turns out to be undefined must not be.
      const compiled = compileRequirement(given.length === 0 ? {} : given[0], settings)
      return (key) => orRejected(() => guard(visitOf(key), compiled))
    },

    contextOf: (key) => visitOf(key).context,

    delegatedContextOf(key) {
      const { context } = visitOf(key)
      if (context !== null && isDelegated(context)) return context
      throw new ConfigError("this call is not delegated: guard its route with kind: 'impersonation' or 'delegation'")
    },

    async verify(given) {
      const token = String(given)
      const unrecorded: Note = () => {}
      try {
        const proven = await verify(token, verifier.recall(token), unrecorded)
        await notEnded?.(proven, unrecorded)
        await bind(proven, { scheme: 'Bearer', anew: true, exchange: null }, unrecorded)
        return proven.context
      } catch (error) {
        throw error instanceof Error ? told('Bearer', error) : error
      }
    },

    ready,

    keys,

    async revoke(revocation) {
      if (revocations === null) throw new ConfigError('revoke() needs the option revocation, with a set to keep it')
      await revocations.revoke(revocation, 'revoke()')
    },

    securityEvents() {
      if (receiver === null) throw new ConfigError('securityEvents() needs the option securityEvents, with who may push them')
      return receiver
    },

    metadata() {
      const { metadata } = settings
      if (metadata === null) throw new ConfigError('metadata() needs the option metadata, with the resource that it is about')
      return (request) => metadataAnswer(metadata, request)
    },

    async close() {
      issuers.close()
      receiver?.close()
      try {
        await recorder.close()
      } finally {
        await Promise.all([settings.replay?.close?.(), revocations?.close()])
      }
    },
  }
}

/** Takes note of a refusal; `verify()` for applications has nobody to tell. */
type Note = (stage: RefusalStage, error: AuthError, details?: RefusalRecord) => void

/** Notes a refusal, and gives its error back to be thrown. */
function refuse(note: Note, stage: RefusalStage, error: AuthError, details?: RefusalRecord): AuthError {
  note(stage, error, details)
  return error
}

/** What became of a call, judged on its response alone: an application may have caught a guard's refusal and gone on. */
function resultOf({ guardStatus }: Visit, finished: boolean, status: number): AuditResult {
  if (guardStatus !== null && guardStatus === status) return 'refused'
  if (!finished) return 'aborted'
  return status >= 500 ? 'failed' : 'completed'
}
