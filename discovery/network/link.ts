/** A network interface with the addresses by which clients on it reach this server. */

import ipaddr from 'ipaddr.js'

export type Family = 4 | 6

export interface LinkAddress {
  readonly family: Family
  /** In the canonical form, without a zone. */
  readonly address: string
  readonly prefixLength: number
  readonly isLinkLocal: boolean
}

export interface Link {
  /** As the system calls it: `eth0`. */
  readonly name: string
  readonly addresses: readonly LinkAddress[]
}

/** `address` in the form in which it can be compared: IPv6 in RFC 5952's form, no zone, no mapped IPv4. @returns undefined when it is none */
export function canonicalAddress(address: string): string | undefined {
  const [bare = ''] = address.split('%')
  return ipaddr.isValid(bare) ? ipaddr.process(bare).toString() : undefined
}

/** Whether a sender is on this link, by the link's prefixes: nothing is sent to those who are not. */
export function isOnLink(link: Link, sender: string): boolean {
  const bare = canonicalAddress(sender)
  if (bare === undefined) return false
  const address = ipaddr.parse(bare)
  if (address.range() === 'linkLocal') return true
  return link.addresses.some((own) => {
    const network = ipaddr.parse(own.address)
    return network.kind() === address.kind() && address.match(network, own.prefixLength)
  })
}

/** The addresses of one family, in the system's order. */
export function addressesOf(link: Link, family: Family): LinkAddress[] {
  return link.addresses.filter((each) => each.family === family)
}
