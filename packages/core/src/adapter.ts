/** What an adapter for a framework is made of. Applications use an adapter, not this. */
import { problemOf } from './challenge.js'
import { type AuthError, ConfigError } from './errors.js'
import { EXPOSE } from './exposed-headers.js'
import { headerOf, type NodeResponse } from './node-http.js'
import type { HttpAnswer } from './request-view.js'
import type { ResourceServer } from './resource-server.js'

export type { ChallengeOffer, Scheme } from './challenge.js'
export type { AuthContext, DelegatedContext } from './delegation/context.js'
export { ApplicationError, AuthError, ConfigError } from './errors.js'
export type { KeyControl } from './key-control.js'
export { type FrameworkView, type NodeRequest, type NodeResponse, nodeRequestView, nodeResponseView } from './node-http.js'
export type { ResourceServerOptions } from './options.js'
export type { Requirement } from './policy/requirement.js'
export type { HttpAnswer, RequestView, ResponseView } from './request-view.js'
export {
  type AuthenticateOptions,
  createResourceServer,
  type Exchange,
  type ResourceServer,
} from './resource-server.js'
export type { Revocation } from './revocation/revocation.js'
export { answerPush, type PushStream } from './security-events/push.js'
export type { SecurityEventReceiver } from './security-events/receiver.js'
export { andThen, attempt, type Eventual } from './thenable.js'
export type { Passage } from './visit.js'

/**
 * The answer to a refused request: RFC 6750 3 challenge, RFC 9457 problem document, never cached.
 * @param response where it will be sent: names of fields that scripts may read are added to those that are there already
 */
export function refusalAnswer(error: AuthError, response?: Pick<NodeResponse, 'getHeader'>): HttpAnswer {
  const body = JSON.stringify(problemOf(error.code))
  return {
    status: error.status,
    headers: {
      ...(response === undefined ? error : forwardedRefusal(error, response)).headers,
      'content-type': 'application/problem+json',
      'content-length': String(Buffer.byteLength(body)),
    },
    body,
  }
}

/** A refusal for a framework's own error handling, which sends its header fields in place of those of the response. */
export function forwardedRefusal(error: AuthError, response: Pick<NodeResponse, 'getHeader'>): AuthError {
  return error.beside(headerOf(response, EXPOSE))
}

/**
 * Shows the context as a property of a framework's object, where handlers look for it. A convenience: guards never read it.
 * On an anonymous request, reading it throws; another library may still assign the property.
 *
 * @param key stands for the request
 * @throws {ConfigError} where the property belongs to somebody else
 */
export function exposeContext(target: object, server: Pick<ResourceServer, Exposed>, key: object): void {
  const property = server.contextProperty
  const context = server.contextOf(key)
  const free = !(property in target)
  if (context !== null && !server.contextCanChange && free && Object.isExtensible(target)) {
    const holder = target as Record<string, unknown>
    holder[property] = context // a good deal cheaper than an accessor
    return
  }
  const defined = Reflect.defineProperty(target, property, {
    configurable: true,
    enumerable: context !== null,
    get() {
      const current = server.contextOf(key)
      if (current !== null) return current
      throw new ConfigError(
        `"${property}" was read on an anonymous request: use contextOf(request), which answers null, or guard the route`,
      )
    },
    set(value: unknown) {
      Object.defineProperty(target, property, { value, writable: true, configurable: true, enumerable: true })
    },
  })
  if (!defined) throw new ConfigError(`"${property}" of the request belongs to somebody else: choose another contextProperty`)
}

type Exposed = 'contextProperty' | 'contextCanChange' | 'contextOf'
