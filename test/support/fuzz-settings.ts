/** How many times the usual number of runs: `BEHALF_FUZZ_RUNS=10` for a long night. */
export const FUZZ_FACTOR: number = positive(process.env['BEHALF_FUZZ_RUNS'], 1)

/** Where generators start. Fixed, so that a failure repeats; `BEHALF_FUZZ_SEED` looks elsewhere. */
export const FUZZ_SEED: number = positive(process.env['BEHALF_FUZZ_SEED'], 8693)

/** A test's time limit in milliseconds, far beyond what it takes on the slowest machine: only there so that a hang ends. */
export const FUZZ_TIMEOUT: number = 1_800_000 * FUZZ_FACTOR

function positive(text: string | undefined, otherwise: number): number {
  if (text === undefined || text === '') return otherwise
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`not a positive whole number: ${text}`)
  return value
}
