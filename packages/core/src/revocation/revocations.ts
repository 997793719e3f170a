import type { RefusalCode } from '../challenge.js'
import type { AuthContext } from '../delegation/context.js'
import { ConfigError } from '../errors.js'
import type { Limits } from '../limits.js'
import { type Moment, monotonicBeside, SteadyClock } from '../steady-clock.js'
import { andThen, type Eventual, inTime, isBelated } from '../thenable.js'
import { type RevocationBasis, type RevocationEntry, revocationKey } from './entry.js'
import { type ReadRevocation, type Revocation, readRevocation } from './revocation.js'
import type { ReadCheck, RevocableName, RevocationQuery, RevocationQuestion } from './revocation-options.js'
import type { RevocationSet } from './revocation-set.js'
import { requireSameTerms } from './set-terms.js'

/** A proven token, as far as it can be revoked. */
interface RevocableToken {
  readonly context: AuthContext
  /** The session that the issuer's claim names; `null`: none. */
  readonly sessionId: string | null
}

/** What was worked out for one token, and what its sets said last. It lies with the token; see `TokenMemo`. */
export interface RevocationMemo {
  revocation: TokenRevocation | null
}

interface TokenRevocation {
  /** Why no token like this one is accepted, whatever is revoked. */
  readonly refusal: RefusalCode | null
  readonly sets: readonly SetCheck[]
  readonly questions: readonly QuestionCheck[]
}

/** One set, and the keys by which it could hold the token. */
interface SetCheck {
  readonly set: RevocationSet
  readonly staleMilliseconds: number
  readonly keys: readonly string[]
  /** At this version the set did not revoke the token. */
  clearedAt: number | null
}

interface QuestionCheck {
  readonly question: RevocationQuestion
  readonly staleMilliseconds: number
  readonly asked: readonly RevocationQuery[]
  /** When the last question was asked whose answer was "not revoked". */
  clearedAt: Moment | null
  /** How often it was said to be revoked: a "not revoked" that was asked for before that is not kept. */
  revocations: number
}

/** What a server knows about tokens that were ended before their time. */
export interface Revocations {
  /** Why a token is refused, or `null`. Asked on every request, also of tokens that are remembered. */
  judge(token: RevocableToken, memo: RevocationMemo): Eventual<RefusalCode | null>
  /**
   * Revokes, in every set that is asked about it. See `ResourceServer.revoke`.
   * @param who wants it, for messages
   */
  revoke(revocation: Revocation, who: string): Promise<void>
  /** Whether a set would keep a revocation on a basis. */
  keeps(issuer: string, basis: RevocationBasis): boolean
  /** Resolves when every set can be believed. */
  ready(): Promise<void>
  /** Closes the sets. */
  close(): Promise<void>
}

/** What revocations are judged by. */
export interface RevocationSettings {
  readonly maxTokenLifetimeSeconds: number
  readonly checks: readonly ReadCheck[]
  /** Names of all issuers; `null`: the application is asked for them. */
  readonly issuerNames: ReadonlySet<string> | null
  readonly toleranceSeconds: number
  readonly limits: Pick<Limits, 'hookMilliseconds' | 'identifierCharacters'>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export function createRevocations(settings: RevocationSettings): Revocations {
  const { maxTokenLifetimeSeconds, checks, issuerNames, toleranceSeconds, limits, now } = settings
  const steady = new SteadyClock(monotonicBeside(now))
  const sets = new Set(checks.flatMap(({ from }) => ('set' in from ? [from.set] : [])))
  for (const set of sets) requireSameTerms(set, { maxTokenLifetimeSeconds, clockToleranceSeconds: toleranceSeconds })

  function prepare({ context, sessionId }: RevocableToken): TokenRevocation {
    const { issuer, issuedAt, expiresAt } = context.token
    const ours = checks.filter((check) => check.issuers === null || check.issuers.has(issuer))
    if (ours.length === 0) return NOTHING_ASKED
    if (ours.some(({ from }) => 'set' in from)) {
      // Longer than its revocations are kept, or nobody knows how long.
      if (issuedAt === null) return { ...NOTHING_ASKED, refusal: 'claim_missing' }
      if (expiresAt - issuedAt > maxTokenLifetimeSeconds) return { ...NOTHING_ASKED, refusal: 'claim_invalid' }
    }
    return {
      refusal: null,
      sets: ours.flatMap(({ bases, from, staleMilliseconds }) => {
        if (!('set' in from)) return []
        const keys = [...bases].flatMap((basis) => namesOf(basis, context, sessionId).map((name) => keyOf(issuer, name)))
        return keys.length === 0 ? [] : [{ set: from.set, staleMilliseconds, keys, clearedAt: null }]
      }),
      questions: ours.flatMap(({ bases, from, staleMilliseconds }) => {
        if (!('question' in from)) return []
        const asked = [...bases].flatMap((by) =>
          namesOf(by, context, sessionId).map((name) => Object.freeze({ ...name, issuer, issuedAt })),
        )
        return [{ question: from.question, staleMilliseconds, asked, clearedAt: null, revocations: 0 }]
      }),
    }
  }

  function judge(token: RevocableToken, memo: RevocationMemo): Eventual<RefusalCode | null> {
    memo.revocation ??= prepare(token)
    const { refusal, sets: setChecks, questions } = memo.revocation
    if (refusal !== null) return refusal
    const time = now()
    const known = judgeSets(setChecks, token.context.token.issuedAt, time)
    return known !== null || questions.length === 0 ? known : askAll(questions, steady.moment(time))
  }

  /** One after the other: the first that does not say "not revoked" is the answer. */
  function askAll(questions: readonly QuestionCheck[], now: Moment): Eventual<RefusalCode | null> {
    const [first, ...rest] = questions
    if (first === undefined) return null
    return andThen(askOne(first, now), (refusal) => refusal ?? askAll(rest, now))
  }

  function askOne(check: QuestionCheck, now: Moment): Eventual<RefusalCode | null> {
    const { clearedAt, staleMilliseconds, asked, question } = check
    if (clearedAt !== null && now.clock >= clearedAt.clock && now.steady - clearedAt.steady < staleMilliseconds) return null
    const { revocations } = check
    return andThen(askedOf(question, asked, limits.hookMilliseconds), (refusal) => {
      if (refusal === null && check.revocations === revocations) check.clearedAt = now
      if (refusal === 'token_revoked') {
        check.revocations++
        check.clearedAt = null
      }
      return refusal
    })
  }

  async function revoke(revocation: Revocation, who: string): Promise<void> {
    const time = now()
    const read = readRevocation(revocation, time / 1000 + toleranceSeconds, limits)
    const asked = setsFor(read, who)
    const { key, issuedUntilSeconds } = read
    const keepUntil = keptUntil(issuedUntilSeconds, time)
    if (keepUntil <= time) return // every token that it is about has ended
    const entry: RevocationEntry = Object.freeze({ key, issuedUntilSeconds, keepUntil })
    const added = await Promise.allSettled(asked.map(async (set) => set.add(entry)))
    const failed = added.find((each) => each.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /** Until when an entry has to be kept, in milliseconds since the epoch: no token that it is about is accepted any more. */
  function keptUntil(issuedUntilSeconds: number | null, time: number): number {
    // The last of them is issued now, by a clock that is ahead as far as may be, or at the revocation's time where that is later.
    const latest = Math.max(time / 1000 + toleranceSeconds, issuedUntilSeconds ?? 0)
    // Where that time is over it was issued then. The tolerance is for replicas whose clocks are behind this one, which says that it is.
    const last = issuedUntilSeconds === null ? latest : Math.min(latest, issuedUntilSeconds + toleranceSeconds)
    // It lives for so long at most, and is accepted until its `exp` and the tolerance.
    return Math.ceil((last + maxTokenLifetimeSeconds + toleranceSeconds) * 1000) + 1
  }

  function setsOf(issuer: string, basis: RevocationBasis): readonly RevocationSet[] {
    if (issuerNames?.has(issuer) === false) return []
    const covering = checks.filter(({ bases, issuers }) => bases.has(basis) && (issuers === null || issuers.has(issuer)))
    return [...new Set(covering.flatMap(({ from }) => ('set' in from ? [from.set] : [])))]
  }

  function setsFor({ issuer, basis }: ReadRevocation, who: string): readonly RevocationSet[] {
    if (issuerNames?.has(issuer) === false) {
      throw new ConfigError(`${who} names an issuer that is not configured: "${issuer}"`)
    }
    const found = setsOf(issuer, basis)
    if (found.length > 0) return found
    throw new ConfigError(
      `${who} by ${basis} would end nothing: no set is asked by it for "${issuer}". Add ${basis} to by of a check in revocation.checks, with a set to keep it`,
    )
  }

  return {
    judge,
    revoke,
    keeps: (issuer, basis) => setsOf(issuer, basis).length > 0,
    async ready() {
      await Promise.all([...sets].map(async (set) => set.ready?.()))
    },
    async close() {
      await Promise.all([...sets].map(async (set) => set.close?.()))
    },
  }
}

const NOTHING_ASKED: TokenRevocation = Object.freeze({ refusal: null, sets: [], questions: [] })

/** What a token is named by, on a basis: nothing, something, or several actors. */
function namesOf(by: RevocationBasis, context: AuthContext, sessionId: string | null): readonly RevocableName[] {
  const { subject, chain, grantId, token } = context
  const actors = chain.flatMap(({ id }) => (id === null ? [] : [id]))
  switch (by) {
    case 'tokenId':
      return [{ by, tokenId: token.id }]
    case 'grantId':
      return grantId === null ? [] : [{ by, grantId }]
    case 'sessionId':
      return sessionId === null ? [] : [{ by, sessionId }]
    case 'subject':
      return [{ by, subject: subject.id }]
    case 'actor':
      return actors.map((actor) => ({ by, actor }))
    case 'subjectAndActor':
      return actors.map((actor) => ({ by, subject: subject.id, actor }))
  }
}

function keyOf(issuer: string, { by, ...names }: RevocableName): string {
  return revocationKey(by, issuer, Object.values(names))
}

/** What sets say at once. One that fails, or answers what is no entry, says nothing that anybody could rely on. */
function judgeSets(checks: readonly SetCheck[], issuedAt: number | null, time: number): RefusalCode | null {
  let unsure = false
  for (const check of checks) {
    try {
      if (isRevoked(check, issuedAt)) return 'token_revoked'
      unsure ||= isStale(check, time)
    } catch {
      unsure = true
    }
  }
  return unsure ? 'revocation_unavailable' : null
}

/** Looks the token up, unless nothing has changed in the set since it was looked up in vain. */
function isRevoked(check: SetCheck, issuedAt: number | null): boolean {
  const { set, keys } = check
  const { version } = set
  if (check.clearedAt === version) return false
  for (const key of keys) {
    const entry = set.find(key)
    if (entry === undefined) continue
    if (typeof entry !== 'object' || entry === null || isBelated(entry)) throw new Error('a set has answered with no entry')
    const { issuedUntilSeconds } = entry
    // Only a time that the token was issued after lets it go on: whatever is no time revokes.
    if (!(issuedUntilSeconds !== null && issuedAt !== null && issuedAt > issuedUntilSeconds)) return true
  }
  check.clearedAt = version
  return false
}

/** A set that is whole as of a time ahead of the clock, which was set back, is one of which nothing is known. */
function isStale({ set, staleMilliseconds }: SetCheck, time: number): boolean {
  const age = time - set.wholeAt(time)
  return !(age >= 0 && age <= staleMilliseconds)
}

/** `token_revoked` as soon as one of them says so; every question has to be answered with `false`, in time, to let the token go on. */
function askedOf(
  question: RevocationQuestion,
  asked: readonly RevocationQuery[],
  milliseconds: number,
): Eventual<RefusalCode | null> {
  const answers = asked.map((query) => answerOf(question, query))
  if (answers.includes(true)) {
    for (const answer of answers) isBelated(answer) // nobody waits for the others any more
    return 'token_revoked'
  }
  if (answers.every((answer) => answer === false)) return null
  const settled = answers.map((answer) => Promise.resolve(answer).catch(() => undefined))
  const revoked = new Promise<RefusalCode>((resolve) => {
    for (const each of settled) void each.then((answer) => answer === true && resolve('token_revoked'))
  })
  const all = Promise.all(settled).then((each) => (each.every((answer) => answer === false) ? null : 'revocation_unavailable'))
  return inTime<RefusalCode | null>(Promise.race([revoked, all]), milliseconds, () => 'revocation_unavailable')
}

/** What was thrown is no answer. It must not keep the other questions' promises from being waited for: nobody would take their rejection. */
function answerOf(question: RevocationQuestion, query: RevocationQuery): unknown {
  try {
    return question(query)
  } catch {
    return undefined
  }
}
