/** Listen addresses and the address ranges of `hosts_allow` and `hosts_deny`. */

import ipaddr from 'ipaddr.js'

const PORT_MAXIMUM = 65_535

/** Where a listener binds. Port 0 takes any free one. */
export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** `address` and the count of its leading bits that must agree. */
export interface AddressRange {
  readonly address: string
  readonly prefixLength: number
}

/** What a listen address may look like, for messages. */
export const LISTEN_FORMS = 'use "address:port", such as "0.0.0.0:445", "127.0.0.1:4450" or "[::]:445"'
/** What an address range may look like, for messages. */
export const RANGE_FORMS = 'use an address or a range, such as "192.168.1.20", "100.64.0.0/10" or "fd00::/8"'

/** Reads `a.b.c.d:port`, `[v6]:port` or `localhost:port`. @returns undefined for anything else */
export function parseListenAddress(value: unknown): ListenAddress | undefined {
  if (typeof value !== 'string') return undefined
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(value.trim())
  if (!match) return undefined
  const [, version6, version4, digits] = match
  const port = Number(digits)
  if (port > PORT_MAXIMUM) return undefined
  if (version6 !== undefined) return ipaddr.IPv6.isValid(version6) ? { host: version6, port } : undefined
  if (version4 === 'localhost') return { host: '127.0.0.1', port }
  return version4 !== undefined && ipaddr.IPv4.isValidFourPartDecimal(version4)
    ? { host: version4, port }
    : undefined
}

/** Writes an address the way `parseListenAddress` reads it. */
export function formatListenAddress(address: ListenAddress): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** Whether the address can be reached from this host alone. */
export function isLoopback(host: string): boolean {
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback'
}

/** Whether the address stands for all addresses of the host. */
export function isUnspecified(host: string): boolean {
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'unspecified'
}

/** Whether both are addresses of the same version of IP. */
export function sameFamily(one: string, other: string): boolean {
  return ipaddr.parse(one).kind() === ipaddr.parse(other).kind()
}

/** Reads one address or a CIDR range, version 4 or 6. @returns undefined for anything else */
export function parseAddressRange(value: unknown): AddressRange | undefined {
  if (typeof value !== 'string') return undefined
  const [text, prefix, ...rest] = value.trim().split('/')
  if (text === undefined || rest.length > 0) return undefined
  if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text)) return undefined
  const bits = ipaddr.parse(text).toByteArray().length * 8
  if (prefix === undefined) return { address: text, prefixLength: bits }
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits) return undefined
  return { address: text, prefixLength: Number(prefix) }
}

/**
 * Decides whether a client's address may connect. The narrowest range that contains it decides, and
 * `allow` wins a tie; when none does, everyone may connect unless `allow` has entries. So both
 * "this network except that machine" and "this machine of that forbidden network" come out as meant.
 */
export function addressAllowed(
  client: string,
  allow: readonly AddressRange[],
  deny: readonly AddressRange[],
): boolean {
  if (allow.length === 0 && deny.length === 0) return true
  if (!ipaddr.isValid(client)) return false
  const allowed = narrowestMatch(client, allow)
  const denied = narrowestMatch(client, deny)
  if (allowed === undefined && denied === undefined) return allow.length === 0
  return (allowed ?? -1) >= (denied ?? -1)
}

/** @returns the longest prefix among the ranges that contain the client */
function narrowestMatch(client: string, ranges: readonly AddressRange[]): number | undefined {
  // `process` turns ::ffff:a.b.c.d, which a dual-stack socket reports, into a.b.c.d.
  const address = ipaddr.process(client)
  let longest: number | undefined
  for (const range of ranges) {
    const network = ipaddr.parse(range.address)
    if (network.kind() !== address.kind() || !address.match(network, range.prefixLength)) continue
    longest = Math.max(longest ?? 0, range.prefixLength)
  }
  return longest
}
