import type { ResourceServerOptions } from '@behalf/core'
import { withEncryption } from './encryption.js'
import { withEndings } from './endings.js'
import { withSenderConstraint } from './sender-constraint.js'

/** A server's options, and beside them whatever this run has switched on: suites run several times, and nothing else may come of them. */
export function withSwitchedOn<T extends Partial<ResourceServerOptions>>(options: T): T {
  return withEncryption(withEndings(withSenderConstraint(options)))
}
