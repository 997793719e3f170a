// Rows of a soak: what was measured, what must be, and whether it is.

/** @typedef {{ what: string, measured: string, bound: string, holds: boolean }} Row */

export function atMost(value, most, unit) {
  const digits = Number.isInteger(value) ? 0 : 1
  return {
    measured: `${value.toFixed(digits)}${unit}`,
    bound: most === 0 ? 'none' : `at most ${most}${unit}`,
    holds: value <= most,
  }
}

export function atLeast(value, least) {
  return { measured: String(value), bound: `at least ${least}`, holds: value >= least }
}
