/** An audit sink and shipping target on NATS JetStream. */
export type { NatsConnectionOptions, NatsCredentials, NatsTlsOptions } from './connection-options.js'
export { type EnsureStreamOptions, ensureStream } from './ensure-stream.js'
export { NatsError, type NatsErrorCode } from './nats-error.js'
export { type NatsSinkOptions, natsSink } from './nats-sink.js'
export { type NatsTargetOptions, natsTarget } from './nats-target.js'
