import { BlockList, isIP } from 'node:net'
import { listAt, stringAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'

/** Addresses of proxies whose word is taken. */
export interface PeerNetworks {
  /** Whether the socket's peer is one of them. A peer without an address (a local socket) is none. */
  includes(peer: string | null): boolean
}

/** Nobody's word is taken. */
export const NO_PEERS: PeerNetworks = Object.freeze({ includes: () => false })

/** Reads a list of addresses and networks (`10.0.0.7`, `10.0.0.0/8`, `fd00::/8`). */
export function peerNetworksAt(value: unknown, where: string): PeerNetworks {
  const networks = new BlockList()
  listAt(value, where, (each, at) => {
    const text = stringAt(each, at)
    const [address = '', prefix, ...rest] = text.split('/')
    const version = isIP(address)
    const bits = version === 4 ? 32 : 128
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1
    if (version === 0 || address.includes('%') || rest.length > 0 || length < 0 || length > bits) {
      throw new ConfigError(`${at} must be an IP address or a network such as 10.0.0.0/8`)
    }
    const family = version === 4 ? 'ipv4' : 'ipv6'
    if (length === 0 || holdsEveryIpv4(address, length, family)) {
      throw new ConfigError(`${at} would trust everybody: name the addresses of your proxies`)
    }
    networks.addSubnet(address, length, family)
    return text
  })
  return {
    includes(peer) {
      const address = peer?.split('%', 1)[0] ?? '' // a link-local address names its interface
      const version = isIP(address)
      return version !== 0 && networks.check(address, version === 4 ? 'ipv4' : 'ipv6')
    },
  }
}

/** Also as a network of IPv6: all of IPv4 stands in `::ffff:0:0/96` (RFC 4291 2.5.5.2). */
function holdsEveryIpv4(address: string, length: number, family: 'ipv4' | 'ipv6'): boolean {
  const network = new BlockList()
  network.addSubnet(address, length, family)
  return network.check('0.0.0.0', 'ipv4') && network.check('255.255.255.255', 'ipv4')
}
