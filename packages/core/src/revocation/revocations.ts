import type { RefusalCode } from '../challenge.js'
import type { AuthContext } from '../delegation/context.js'
import { ConfigError } from '../errors.js'
import type { Limits } from '../limits.js'
import { andThen, type Eventual, inTime } from '../thenable.js'
import { type RevocationBasis, type RevocationEntry, revocationKey } from './entry.js'
import { type ReadRevocation, type Revocation, readRevocation } from './revocation.js'
import type { ReadCheck, RevocationQuery, RevocationQuestion } from './revocation-options.js'
import type { RevocationSet } from './revocation-set.js'

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
  /** When the last question was asked whose answer was "not revoked", in milliseconds since the epoch. */
  clearedAt: number | null
}

/** What a server knows about tokens that were ended before their time. */
export interface Revocations {
  /** Why a token is refused, or `null`. Asked on every request, also of tokens that are remembered. */
  judge(token: RevocableToken, memo: RevocationMemo): Eventual<RefusalCode | null>
  /** Revokes, in every set that is asked about it. See `ResourceServer.revoke`. */
  revoke(revocation: Revocation): Promise<void>
  /** Resolves when every set can be believed. */
  ready(): Promise<void>
  /** Closes the sets. */
  close(): Promise<void>
}

/** What revocations are judged by. */
export interface RevocationSettings {
  readonly maxTokenLifetimeSeconds: number
  readonly checks: readonly ReadCheck[]
  readonly toleranceSeconds: number
  readonly limits: Pick<Limits, 'hookMilliseconds'>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export function createRevocations(settings: RevocationSettings): Revocations {
  const { maxTokenLifetimeSeconds, checks, toleranceSeconds, limits, now } = settings
  const sets = new Set(checks.flatMap(({ from }) => ('set' in from ? [from.set] : [])))

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
        const keys = [...bases].flatMap((basis) => namesOf(basis, context, sessionId).map((names) => keyOf(basis, issuer, names)))
        return [{ set: from.set, staleMilliseconds, keys, clearedAt: null }]
      }),
      questions: ours.flatMap(({ bases, from, staleMilliseconds }) => {
        if (!('question' in from)) return []
        const asked = [...bases].flatMap((by) =>
          namesOf(by, context, sessionId).map((names) => Object.freeze({ by, issuer, ...names, issuedAt })),
        )
        return [{ question: from.question, staleMilliseconds, asked, clearedAt: null }]
      }),
    }
  }

  function judge(token: RevocableToken, memo: RevocationMemo): Eventual<RefusalCode | null> {
    memo.revocation ??= prepare(token)
    const { refusal, sets: setChecks, questions } = memo.revocation
    if (refusal !== null) return refusal
    const time = now()
    let unsure = false
    for (const check of setChecks) {
      if (isRevoked(check, token.context.token.issuedAt)) return 'token_revoked'
      unsure ||= isStale(check, time)
    }
    if (unsure) return 'revocation_unavailable'
    return questions.length === 0 ? null : askAll(questions, time)
  }

  /** One after the other: the first that does not say "not revoked" is the answer. */
  function askAll(questions: readonly QuestionCheck[], time: number): Eventual<RefusalCode | null> {
    const [first, ...rest] = questions
    if (first === undefined) return null
    return andThen(askOne(first, time), (refusal) => refusal ?? askAll(rest, time))
  }

  function askOne(check: QuestionCheck, time: number): Eventual<RefusalCode | null> {
    const { clearedAt, staleMilliseconds, asked, question } = check
    const age = clearedAt === null ? Number.NaN : time - clearedAt
    if (age >= 0 && age < staleMilliseconds) return null
    return andThen(askedOf(question, asked, limits.hookMilliseconds), (refusal) => {
      if (refusal === null) check.clearedAt = time
      return refusal
    })
  }

  async function revoke(revocation: Revocation): Promise<void> {
    const time = now()
    const read = readRevocation(revocation, time / 1000 + toleranceSeconds)
    const asked = setsFor(read)
    const { key, issuedUntilSeconds } = read
    // A token that it is about was issued by now, as far as clocks agree, and is accepted until its `exp` and the tolerance.
    const latest = Math.max(time / 1000 + toleranceSeconds, issuedUntilSeconds ?? 0)
    const keepUntil = Math.ceil((latest + maxTokenLifetimeSeconds + toleranceSeconds) * 1000) + 1
    const entry: RevocationEntry = Object.freeze({ key, issuedUntilSeconds, keepUntil })
    const added = await Promise.allSettled(asked.map(async (set) => set.add(entry)))
    const failed = added.find((each) => each.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  function setsFor({ issuer, basis }: ReadRevocation): readonly RevocationSet[] {
    const covering = checks.filter(({ bases, issuers }) => bases.has(basis) && (issuers === null || issuers.has(issuer)))
    const found = new Set(covering.flatMap(({ from }) => ('set' in from ? [from.set] : [])))
    if (found.size > 0) return [...found]
    throw new ConfigError(
      `revoke() by ${basis} would end nothing: no set is asked by it for "${issuer}". Add a check to revocation.checks`,
    )
  }

  return {
    judge,
    revoke,
    async ready() {
      await Promise.all([...sets].map(async (set) => set.ready?.()))
    },
    async close() {
      await Promise.all([...sets].map(async (set) => set.close?.()))
    },
  }
}

const NOTHING_ASKED: TokenRevocation = Object.freeze({ refusal: null, sets: [], questions: [] })

type Names = Pick<RevocationQuery, 'tokenId' | 'grantId' | 'sessionId' | 'subject' | 'actor'>

/** What a token is named by, on a basis: nothing, something, or several actors. */
function namesOf(basis: RevocationBasis, context: AuthContext, sessionId: string | null): readonly Names[] {
  const { subject, chain, grantId, token } = context
  const actors = chain.flatMap(({ id }) => (id === null ? [] : [id]))
  switch (basis) {
    case 'tokenId':
      return [{ tokenId: token.id }]
    case 'grantId':
      return grantId === null ? [] : [{ grantId }]
    case 'sessionId':
      return sessionId === null ? [] : [{ sessionId }]
    case 'subject':
      return [{ subject: subject.id }]
    case 'actor':
      return actors.map((actor) => ({ actor }))
    case 'subjectAndActor':
      return actors.map((actor) => ({ subject: subject.id, actor }))
  }
}

function keyOf(basis: RevocationBasis, issuer: string, names: Names): string {
  return revocationKey(basis, issuer, Object.values(names) as string[])
}

/** Looks the token up, unless nothing has changed in the set since it was looked up in vain. */
function isRevoked(check: SetCheck, issuedAt: number | null): boolean {
  const { set, keys } = check
  const { version } = set
  if (check.clearedAt === version) return false
  for (const key of keys) {
    const entry = set.find(key)
    if (entry === undefined) continue
    const { issuedUntilSeconds } = entry
    if (issuedUntilSeconds === null || issuedAt === null || issuedAt <= issuedUntilSeconds) return true
  }
  check.clearedAt = version
  return false
}

/** A set that is whole as of a time ahead of the clock, which was set back, is one of which nothing is known. */
function isStale({ set, staleMilliseconds }: SetCheck, time: number): boolean {
  const age = time - set.wholeAt(time)
  return !(age >= 0 && age <= staleMilliseconds)
}

/** `token_revoked` where one of them says so; every question has to be answered with `false`, in time, to let the token go on. */
function askedOf(
  question: RevocationQuestion,
  asked: readonly RevocationQuery[],
  milliseconds: number,
): Eventual<RefusalCode | null> {
  const answers = asked.map((query) => answerOf(question, query))
  if (answers.every((answer) => answer === false)) return null
  return inTime(Promise.all(answers).then(toRefusal, unavailable), milliseconds, unavailable)
}

/** What was thrown is no answer. It must not keep the other questions' promises from being waited for: nobody would take their rejection. */
function answerOf(question: RevocationQuestion, query: RevocationQuery): unknown {
  try {
    return question(query)
  } catch {
    return undefined
  }
}

function toRefusal(answers: readonly unknown[]): RefusalCode | null {
  if (answers.includes(true)) return 'token_revoked'
  return answers.every((answer) => answer === false) ? null : 'revocation_unavailable'
}

function unavailable(): RefusalCode {
  return 'revocation_unavailable'
}
