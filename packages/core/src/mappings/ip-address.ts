const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`)
const IPV6_LETTERS = /^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/

/**
 * Whether a text is an IP address as log schemas take them: no zone (`%eth0`), which they refuse. A socket's peer need not be
 * one: behind a Unix socket it is a path, or nothing.
 */
export function isIpAddress(text: string): boolean {
  return IPV4.test(text) || (IPV6_LETTERS.test(text) && URL.canParse(`http://[${text}]/`))
}
