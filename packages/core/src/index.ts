/** Who is really calling, on whose behalf, and within which limits. */
export type { AuditOptions } from './audit/audit-options.js'
export { type DeliveryRecord, type DeliverySinkOptions, type DeliveryTarget, deliverySink } from './audit/delivery.js'
export type { AuditEvent, AuditParty, AuditResult, AuditStage } from './audit/event.js'
export { type AuditSink, bestEffort, type IterableSink, type IterableSinkOptions, iterableSink } from './audit/sink.js'
export type { DpopOptions, MtlsOptions } from './binding/binding-options.js'
export type { BindingMode } from './binding/binding-policy.js'
export type { CertificateForm, CertificateHeader } from './binding/client-certificate.js'
export type { DpopNonceOptions } from './binding/dpop-nonce.js'
export type { ProofUse, ReplayMemory } from './binding/replay-memory.js'
export { type Problem, REFUSAL_CODES, type RefusalCode } from './challenge.js'
export type { DecryptionOptions } from './decryption/decrypter.js'
export type { AuthorizationDetail } from './delegation/authorization-details.js'
export {
  type AuthContext,
  type Consent,
  type CustomClaims,
  type DelegatedContext,
  type DirectContext,
  embeddedToken,
  hasScope,
  type TokenInfo,
} from './delegation/context.js'
export type { Notice } from './delegation/decode.js'
export type { DelegationKind } from './delegation/dialect.js'
export { mayBecomeActor } from './delegation/may-act.js'
export { type Party, partyKey, type UnknownParty } from './delegation/party.js'
export { ApplicationError, AuthError, ConfigError } from './errors.js'
export type { IntrospectionOptions, KeyAuthentication, SecretAuthentication } from './introspection/introspection-options.js'
export type { IssuerOptions } from './issuers/issuer-options.js'
export type { IssuerKeyState, IssuerLookup } from './issuers/registry.js'
export type { IssuerIntrospectionOptions } from './issuers/token-ways.js'
export type { KeyControl } from './key-control.js'
export type { Fetch } from './keys/fetch-json.js'
export type { JwkSet } from './keys/static-key-set.js'
export { DEFAULT_LIMITS, type Limits } from './limits.js'
export type { MetadataOptions } from './metadata.js'
export type { ResourceServerOptions } from './options.js'
export type { DetailRequirement } from './policy/details.js'
export type { Hook } from './policy/hook.js'
export type { PartyMatcher } from './policy/matcher.js'
export type { PartyRequirement, Requirement } from './policy/requirement.js'
export type { DelegationRule } from './policy/rule.js'
export type { ConsentAnswer, When, WhenAnswer } from './policy/when.js'
export type { HttpAnswer, RequestView } from './request-view.js'
export { type AuthenticateOptions, createResourceServer, type ResourceServer } from './resource-server.js'
export type { RevocationBasis, RevocationEntry } from './revocation/entry.js'
export { type MemoryRevocationsOptions, memoryRevocations } from './revocation/memory-revocations.js'
export type { Revocation } from './revocation/revocation.js'
export type {
  RevocationCheck,
  RevocationOptions,
  RevocationQuery,
  RevocationQuestion,
} from './revocation/revocation-options.js'
export { RevocationError, type RevocationSet } from './revocation/revocation-set.js'
export type { SecurityEventOptions, TransmitterOptions } from './security-events/options.js'
export type { UnprocessedEvent } from './security-events/unprocessed.js'
export type { StatusListOptions } from './status-list/status-list-options.js'
export type {
  AuditFailureMessage,
  DelegatedMessage,
  KeysFetchMessage,
  RefusalMessage,
  TelemetryMessages,
  VerificationMessage,
} from './telemetry.js'
export type { Algorithm } from './token/algorithms.js'
export type { CredentialsSource } from './token/credentials.js'
export type { JsonObject, JsonValue } from './token/json.js'
export type { CacheOptions } from './token/verified-cache.js'
export type { DiscoveryOptions } from './trusted-issuers.js'
