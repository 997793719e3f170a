import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { FetchError } from './fetch-json.js'

/** Every address of a host name. */
export type ResolveHost = (host: string) => Promise<readonly string[]>

type Network = readonly [network: string, prefix: number]

/** IPv4 networks that are not of the public Internet (IANA special-purpose registry, RFC 6890), multicast and reserved ones included. */
const NOT_PUBLIC_4: readonly Network[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]

/** What IPv6 has of public addresses: global unicast, and IPv4 hosts as a mapped address or behind NAT64 (RFC 6052). */
const PUBLIC_6: readonly Network[] = [
  ['2000::', 3],
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
]

/** Parts of it that are not: protocol and documentation networks, 6to4. */
const NOT_PUBLIC_6: readonly Network[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

const notPublic = new BlockList()
for (const [network, prefix] of NOT_PUBLIC_4) {
  notPublic.addSubnet(network, prefix, 'ipv4') // also finds `::ffff:` forms
  notPublic.addSubnet(`64:ff9b::${network}`, 96 + prefix, 'ipv6')
}
const public6 = new BlockList()
for (const [network, prefix] of PUBLIC_6) public6.addSubnet(network, prefix, 'ipv6')
for (const [network, prefix] of NOT_PUBLIC_6) notPublic.addSubnet(network, prefix, 'ipv6')

/** Whether an IP address is one of the public Internet. What is no IP address is none. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !notPublic.check(address, 'ipv4')
  return family === 6 && public6.check(address, 'ipv6') && !notPublic.check(address, 'ipv6')
}

const resolveHost: ResolveHost = async (host) => (await lookup(host, { all: true })).map(({ address }) => address)

/**
 * Lets only https URLs through whose host, after resolution, has none but public addresses.
 *
 * The connection resolves the name once more. A name that has changed by then leads to a TLS handshake that fails, since no
 * private server can show a certificate for it: nothing is sent to it, and nothing of it is read.
 *
 * @throws {FetchError} with a fixed text
 */
export function publicAddressesOnly(resolve: ResolveHost = resolveHost): (url: string) => Promise<void> {
  return async (url) => {
    const { protocol, hostname } = new URL(url)
    if (protocol !== 'https:') throw new FetchError('the URL is not https, which a discovered one must be')
    const host = hostname.replace(/^\[|\]$/g, '')
    let addresses: readonly string[] = []
    try {
      addresses = isIP(host) === 0 ? await resolve(host) : [host]
    } catch {} // a name that cannot be resolved has no addresses
    if (addresses.length === 0) throw new FetchError('the host of a discovered URL has no address')
    if (!addresses.every(isPublicAddress)) throw new FetchError('the host of a discovered URL has an address that is not public')
  }
}
