/** What the replicas of an API share, on Redis: a memory of used proofs, and a set of revocations. */
export type { RedisConnectionOptions, RedisCredentials, RedisTlsOptions } from './connection-options.js'
export type { RedisFailureCode } from './redis-failure.js'
export { type RedisReplay, type RedisReplayOptions, redisReplay } from './redis-replay.js'
export { RedisReplayError, type RedisReplayErrorCode } from './redis-replay-error.js'
export { RedisRevocationError, type RedisRevocationReason } from './redis-revocation-error.js'
export { type RedisRevocations, type RedisRevocationsOptions, redisRevocations } from './redis-revocations.js'
