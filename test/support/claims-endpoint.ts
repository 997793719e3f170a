/** An introspection endpoint that says of each token exactly the text that the test has given for it. */
import { hash } from 'node:crypto'
import type { IssuerOptions } from '@behalf/core'
import { createIntrospectionServer, type IntrospectionServer, says, sends } from './introspection-server.js'

export interface ClaimsEndpoint {
  /** How an issuer asks it; after {@link ClaimsEndpoint.start}. */
  readonly options: NonNullable<IssuerOptions['introspection']>
  start(): Promise<void>
  /** An opaque token of which it says this; the same one for the same text. */
  tokenFor(answer: string): string
  close(): Promise<void>
}

export function claimsEndpoint(): ClaimsEndpoint {
  const answers = new Map<string, string>()
  let server: IntrospectionServer | null = null
  return {
    get options() {
      if (server === null) throw new Error('the endpoint has not been started')
      return {
        endpoint: server.endpoint,
        clientId: 'api-1',
        authentication: { method: 'client_secret_basic' as const, clientSecret: 'a secret of tests' },
        untyped: 'accept' as const,
        presentClaims: [], // an answer has fewer than the JWTs of its profile
      }
    },
    async start() {
      server = await createIntrospectionServer()
      server.reply = (request, response, question) => {
        const answer = answers.get(question.token)
        const reply = answer === undefined ? says({ active: false }) : sends(answer)
        reply(request, response, question)
      }
    },
    tokenFor(answer) {
      const token = `opaque-${hash('sha256', answer, 'hex')}`
      answers.set(token, answer)
      return token
    },
    async close() {
      await server?.close()
    },
  }
}
