// The garbage collector, at hand without a flag on the command line.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

function exposed() {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
}

/** Collects the young generation between two measurements, so that nobody pays for another's garbage. */
export function exposedGc() {
  const collect = exposed()
  return () => collect({ type: 'minor' })
}

/** Collects everything that can be. */
export function exposedFullGc() {
  const collect = exposed()
  return () => collect()
}
