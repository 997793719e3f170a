import { AnswerError } from '../keys/fetch-json.js'
import type { Limits } from '../limits.js'
import { isObject, type JsonObject, parseStrictJson } from '../token/json.js'
import { type AnswerPolicy, type AnswerRefusal, judgeAnswer } from './answer.js'
import { askEndpoint, type EndpointOptions } from './endpoint.js'
import { type AnswerProof, proveAnswer, type SignedAnswerPolicy } from './signed-answer.js'

/** What an issuer said of a token, proved and judged. */
export interface Word {
  /** The claims, frozen; or why the token is refused. */
  readonly said: JsonObject | AnswerRefusal
  /** When the question was sent, in milliseconds since the epoch. */
  readonly askedAt: number
  /** `null`: the answer was not signed. */
  readonly proof: AnswerProof | null
  /** Length of the answer as it was written. */
  readonly characters: number
}

/** Where a word comes from, and what it is held against. */
export interface WordOptions extends AnswerPolicy {
  readonly endpoint: EndpointOptions
  /** `null`: answers are not signed. */
  readonly signing: SignedAnswerPolicy | null
  readonly limits: Limits
}

/**
 * Asks the issuer for its word about one token. Nothing is kept.
 * @throws {FetchError} with a fixed text
 * @throws {AuthError} `keys_unavailable`
 */
export async function askForWord(token: string, options: WordOptions): Promise<Word> {
  const { endpoint, signing } = options
  const askedAt = endpoint.now()
  const text = await askEndpoint(token, endpoint)
  const { answer, proof } =
    signing === null ? { answer: plainAnswer(text, options), proof: null } : await proveAnswer(text, askedAt, signing)
  return { said: judgeAnswer(answer, token, options), askedAt, proof, characters: text.length }
}

function plainAnswer(text: string, { limits }: WordOptions): JsonObject {
  const answer = parseStrictJson(text, limits.jsonDepth)
  if (!isObject(answer)) throw new AnswerError('the answer is not a JSON object')
  return answer
}
