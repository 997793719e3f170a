/** A memory of used proofs that several replicas of an API share, on Redis. */
export type { RedisConnectionOptions, RedisCredentials, RedisTlsOptions } from './connection-options.js'
export { type RedisReplay, type RedisReplayOptions, redisReplay } from './redis-replay.js'
export { RedisReplayError, type RedisReplayErrorCode } from './redis-replay-error.js'
