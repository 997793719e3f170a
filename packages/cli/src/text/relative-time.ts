const UNITS: readonly (readonly [name: string, seconds: number])[] = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
]
/** Largest time that a `Date` can hold, in milliseconds. */
const LATEST_MILLISECONDS = 8.64e15

/** How far a moment is from now, in words: `in 5 minutes`, `3 days ago`. Both in milliseconds since the epoch. */
export function relativeTime(milliseconds: number, nowMilliseconds: number): string {
  const seconds = Math.trunc((milliseconds - nowMilliseconds) / 1000)
  const [name, unit] = UNITS.find(([, each]) => Math.abs(seconds) >= each) ?? ['second', 1]
  const count = Math.floor(Math.abs(seconds) / unit)
  if (count === 0) return 'now'
  const words = `${count} ${name}${count === 1 ? '' : 's'}`
  return seconds > 0 ? `in ${words}` : `${words} ago`
}

/** A NumericDate (RFC 7519 2) for people: the moment, and how far it is from now. `null`: it is none. */
export function numericDate(seconds: unknown, nowMilliseconds: number): string | null {
  if (typeof seconds !== 'number' || !(Math.abs(seconds * 1000) <= LATEST_MILLISECONDS)) return null
  return `${new Date(seconds * 1000).toISOString()} (${relativeTime(seconds * 1000, nowMilliseconds)})`
}
