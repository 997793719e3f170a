const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/**
 * Whether a host, as `URL.hostname` has it, is this machine: only there may something be sent without TLS. Looked at by name alone:
 * whoever can change what `localhost` means has this machine already.
 */
export function isLoopback(hostname: string): boolean {
  return LOOPBACK.test(hostname)
}
