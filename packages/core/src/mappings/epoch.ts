/**
 * Milliseconds since the epoch of an event's `time`. A leap second is the second after it, as POSIX counts. 0 where the text is
 * no time at all, which no valid event has: a mapping does not throw in the middle of an export.
 */
export function epochMilliseconds(time: string): number {
  const leap = /:60(?=[.Z])/
  const milliseconds = leap.test(time) ? Date.parse(time.replace(leap, ':59')) + 1000 : Date.parse(time)
  return Number.isNaN(milliseconds) ? 0 : milliseconds
}
