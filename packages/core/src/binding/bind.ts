import type { RefusalCode, Scheme } from '../challenge.js'
import type { RequestView, ResponseView } from '../request-view.js'
import { andThen, type Eventual } from '../thenable.js'
import type { BindingPolicy } from './binding-policy.js'
import { type CertificateSource, certificateOfConnection } from './client-certificate.js'
import type { Confirmation } from './confirmation.js'
import type { DpopJudge } from './dpop.js'

/** A proven token, as somebody presents it. */
export interface Presentation {
  readonly token: string
  readonly scheme: Scheme
  /** Whether its signature has been proved for this presentation; else it is known from an earlier one. */
  readonly anew: boolean
  /** What the token is bound to. */
  readonly confirmation: Confirmation | 'unsupported' | null
  /** How its issuer's tokens may be bound. */
  readonly policy: BindingPolicy
  /** `null`: there is no request that could prove anything. */
  readonly exchange: { readonly request: RequestView; readonly response: ResponseView } | null
}

/** Whoever presents a token is the one that it is bound to: why not, or `null`. Asked for each request, and never remembered. */
type Binder = (presentation: Presentation) => Eventual<RefusalCode | null>

/** What the steps of a binder check with; `null`: it is not configured, and there is no such step. */
export interface BindingMeans {
  readonly dpop: DpopJudge | null
  readonly certificate: CertificateSource | null
}

/** A binder, and the steps that it was made of, in their order. */
export interface CompiledBinder {
  readonly steps: readonly ('dpop' | 'certificate')[]
  /** Asked before anything is waited for: a connection that its client closes takes its certificate along. `null`: nothing has to be read so early. */
  readonly prepare: ((request: RequestView) => unknown) | null
  readonly bind: Binder
}

/** One way of being bound: why a presentation does not prove it, or `null`. */
type BindingStep = (presentation: Presentation, confirmation: Confirmation) => Eventual<RefusalCode | null>

/** Puts together the steps that are configured. Without any, a token that is bound to its sender is refused, and nothing else is looked at. */
export function compileBinder({ dpop, certificate }: BindingMeans): CompiledBinder {
  const named = [
    ['certificate', certificate && certificateStep(certificate)],
    ['dpop', dpop && dpopStep(dpop)], // last: it uses the proof up
  ] as const
  const steps = named.flatMap(([name, step]) => (step === null ? [] : [{ name, step }]))
  const names = Object.freeze(steps.map(({ name }) => name))
  if (steps.length === 0) return { steps: names, prepare: null, bind: refuseBound }
  const ask = steps
    .map(({ step }) => step)
    .reduce(
      (first, second) => (presentation, confirmation) =>
        andThen(first(presentation, confirmation), (refusal) => refusal ?? second(presentation, confirmation)),
    )
  return {
    steps: names,
    prepare: certificate === certificateOfConnection ? (request) => request.clientCertificate : null,
    bind(presentation) {
      const { confirmation } = presentation
      if (confirmation === 'unsupported') return 'binding_unsupported'
      const { jkt = null, certificate: thumbprint = null } = confirmation ?? {}
      if ((jkt !== null && dpop === null) || (thumbprint !== null && certificate === null)) return 'binding_unsupported'
      return judgeScheme(presentation, confirmation) ?? (confirmation === null ? null : ask(presentation, confirmation))
    },
  }
}

/** Nothing is checked here, so that nothing that is bound can be accepted (RFC 7800 3.1). */
const refuseBound: Binder = ({ confirmation, scheme }) =>
  confirmation === null && scheme === 'Bearer' ? null : 'binding_unsupported'

/** Scheme, token and policy fit each other (RFC 9449 7.1, 7.2): a bound token is no bearer token, and an unbound one proves nothing. */
function judgeScheme({ scheme, policy, exchange }: Presentation, confirmation: Confirmation | null): RefusalCode | null {
  const jkt = confirmation?.jkt ?? null
  const certificate = confirmation?.certificate ?? null
  if ((jkt !== null || scheme === 'DPoP') && policy.dpop === 'off') return 'binding_unsupported'
  if (certificate !== null && policy.mtls === 'off') return 'binding_unsupported'
  if (confirmation !== null && exchange === null) return 'binding_unsupported'
  if ((policy.dpop === 'require' && jkt === null) || (policy.mtls === 'require' && certificate === null))
    return 'binding_required'
  return (jkt !== null) === (scheme === 'DPoP') ? null : 'sender_mismatch'
}

/** RFC 8705 3: the certificate that the token names is the one of this very request. */
function certificateStep(source: CertificateSource): BindingStep {
  return ({ exchange }, { certificate }) =>
    certificate === null || (exchange !== null && source(exchange.request) === certificate) ? null : 'sender_mismatch'
}

/** RFC 9449 7.1: the request proves that its sender holds the key that the token names. */
function dpopStep(judge: DpopJudge): BindingStep {
  return ({ exchange, token, anew }, { jkt }) => {
    if (jkt === null) return null
    return exchange === null ? 'binding_unsupported' : judge({ ...exchange, token, jkt, anew })
  }
}
