import { ConfigError, stringAt } from '@behalf/core/sink-kit'
import { NatsError } from './nats-error.js'

/** First tokens of the subjects that records go to, unless the option `subject` says otherwise. */
export const DEFAULT_SUBJECT = 'behalf.audit'

const PREFIX = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/
const MOST_CHARACTERS = 128

/** The option `subject`: tokens of letters, digits, `_` and `-`, joined by dots, without a wildcard. */
export function subjectAt(value: unknown, where: string): string {
  const subject = stringAt(value, where)
  if (!PREFIX.test(subject) || subject.length > MOST_CHARACTERS || subject.startsWith('_')) {
    throw new ConfigError(`${where} must be tokens of letters, digits, _ and -, joined by dots, like ${DEFAULT_SUBJECT}`)
  }
  return subject
}

/** What the stream must listen on to take every chain. */
export function subjectOfAllChains(prefix: string): string {
  return `${prefix}.*`
}

const NOT_IN_A_TOKEN = /[^A-Za-z0-9_-]/gu

/**
 * Where the records of a chain go: the prefix and one token. Characters that mean something in a subject, and everything but
 * letters, digits, `_` and `-`, are written `=` and hexadecimal digits of their UTF-8, so that two chains never share a subject.
 * @throws {NatsError} `record_unfit` where the chain is empty or too long
 */
export function subjectOfChain(prefix: string, chain: string): string {
  const token = chain.replace(NOT_IN_A_TOKEN, (character) =>
    [...Buffer.from(character, 'utf8')].map((byte) => `=${byte.toString(16).padStart(2, '0')}`).join(''),
  )
  if (token === '' || token.length > MOST_CHARACTERS) throw new NatsError('record_unfit')
  return `${prefix}.${token}`
}
