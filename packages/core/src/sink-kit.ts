/** What packages of sinks and targets are made of: how options are read, and ids for events of their own. Applications use a sink, not this. */
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
