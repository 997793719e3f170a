import assert from 'node:assert/strict'
import type { Fetch } from './https-fetch.js'
import type { OAuthClient, Tokens } from './oauth-client.js'
import { partiesOf, say } from './printing.js'

/** What a call has to come to: the status, and the line that the audit trail has of it, whose last word is the code of a refusal. */
export interface Expected {
  readonly status: number
  readonly trail: string
}

/** Refusals for which no nonce is asked for first. */
const BEFORE_NONCES: ReadonlySet<string> = new Set(['audience_mismatch', 'sender_mismatch'])

/** Tells each step of the story and checks it. What is not as it should be throws. */
export class Teller {
  readonly #api: string
  readonly #trail: string[] = []
  /** Whoever has been given a nonce by the API. */
  readonly #greeted = new Set<OAuthClient>()

  constructor(api: string) {
    this.#api = api
  }

  /** What the audit trail of the API has to say by now. */
  get trail(): readonly string[] {
    return this.#trail
  }

  tell(what: string, found: string): void {
    say(`${what}\n    ${found}`)
  }

  /** The API was asked something outside of this. */
  asked(trail: string): void {
    this.#trail.push(trail)
  }

  /** A client calls the API in the usual way. Where it shows proofs, its very first one lacks the nonce that it is then given. */
  async call(what: string, client: OAuthClient, tokens: Tokens, request: string, expected: Expected): Promise<void> {
    const [method = '', path = ''] = request.split(' ')
    const { status, code, body } = await client.call(tokens, method, this.#api + path)
    if (tokens.token_type === 'dpop' && !BEFORE_NONCES.has(code ?? '') && !this.#greeted.has(client)) {
      this.#greeted.add(client)
      this.asked(`${partiesOf(tokens)}: ${method} (before routing) 401 proof_nonce_required`)
    }
    this.#judge(what, request, status, code, body, expected)
  }

  /** Somebody sends the API a request that they have put together themselves. */
  async send(what: string, fetch: Fetch, url: string, init: RequestInit, expected: Expected): Promise<void> {
    const answer = await fetch(url, init)
    const body = (await answer.json()) as { readonly code?: string }
    this.#judge(what, `${init.method} ${new URL(url).pathname}`, answer.status, body.code ?? null, body, expected)
  }

  /** The authorization server must refuse. */
  async refused(what: string, exchange: Promise<Tokens>): Promise<void> {
    const found = await exchange.then(
      (tokens) => assert.fail(`${what}: it has got a token, ${partiesOf(tokens)}`),
      (thrown: { readonly error?: string; readonly error_description?: string }) => thrown,
    )
    assert.equal(found.error, 'invalid_request', what)
    this.tell(what, `${found.error}: ${found.error_description}`)
  }

  #judge(
    what: string,
    request: string,
    status: number,
    code: string | null,
    body: unknown,
    { status: due, trail }: Expected,
  ): void {
    assert.deepEqual([status, code], [due, due < 400 ? null : trail.split(' ').at(-1)], what)
    this.asked(trail)
    this.tell(what, `${request}: ${status} ${code ?? JSON.stringify(body)}`)
  }
}
