/** An audit sink that writes through pino. */
import type { AuditEvent, AuditSink } from '@behalf/core'
import type { Logger } from 'pino'

/**
 * Writes each event as one line of a pino logger, under the member `audit`: refusals and refused outcomes at level `warn`,
 * everything else at `info`.
 *
 * An event is accepted when pino has taken it. With pino's asynchronous destinations that means "in memory": neither a kill nor
 * a power cut spares it. A logger whose level leaves an event out would drop it without a word: creation, and later every write,
 * refuses that.
 *
 * @throws {TypeError} where the logger would not write `info` lines
 */
export function pinoSink(logger: Pick<Logger, 'info' | 'warn' | 'flush' | 'isLevelEnabled'>): AuditSink {
  if (!logger.isLevelEnabled('info')) throw new TypeError("pinoSink needs a logger whose level writes 'info'")
  return {
    write(event) {
      const level = event.decision === 'allow' && event.result !== 'refused' ? 'info' : 'warn'
      if (!logger.isLevelEnabled(level)) throw new TypeError(`the logger's level leaves out '${level}'`) // it may have been changed since
      logger[level]({ audit: event }, messageOf(event))
    },
    flush: () =>
      new Promise((resolve, reject) => {
        logger.flush((error) => (error ? reject(error) : resolve()))
      }),
  }
}

function messageOf({ type, decision, result }: AuditEvent): string {
  return type === 'access.outcome' ? `${type} ${result}` : `${type} ${decision}`
}
