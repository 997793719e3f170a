import type { RedisFailureCode } from './redis-failure.js'

/** Says once, as a warning of the process, that this Redis may drop keys. */
export function evictionWarning(text: string, code: string): (failure: RedisFailureCode) => void {
  let warned = false
  return (failure) => {
    if (failure !== 'eviction' || warned) return
    warned = true
    process.emitWarning(`behalf: ${text}: set its maxmemory-policy to noeviction`, { code })
  }
}
