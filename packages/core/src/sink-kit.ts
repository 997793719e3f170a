/** What packages of sinks, targets and shared sets are made of: how options are read, ids for events of their own, the copy of a set. Applications use those, not this. */
export { uuidV7 } from './audit/event.js'
export {
  booleanAt,
  functionAt,
  integerAt,
  listAt,
  type Members,
  membersOf,
  oneOrListAt,
  optional,
  stringAt,
  wordAt,
} from './config-shape.js'
export { ConfigError } from './errors.js'
export { isLoopback } from './loopback.js'
export { parseUrl } from './parse-url.js'
export { joinedEntry, type RevocationEntry } from './revocation/entry.js'
export { MemoryRevocations } from './revocation/memory-revocations.js'
export { RevocationError, type RevocationSet } from './revocation/revocation-set.js'
export { type Moment, monotonicBeside, SteadyClock } from './steady-clock.js'
