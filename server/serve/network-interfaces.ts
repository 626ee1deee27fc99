/** The addresses of this host, for clients that ask over which interfaces they could connect. */

import { networkInterfaces } from 'node:os'
import ipaddr from 'ipaddr.js'
import type { NetworkInterface } from '../../protocols/smb2/state/server.ts'

/** Node does not tell the speed of a link; clients only compare them. */
const ASSUMED_LINK_SPEED_BITS_PER_SECOND = 1_000_000_000

/** @returns loopback only when there is nothing else, and no link-local addresses, which mean nothing elsewhere */
export function hostInterfaces(): NetworkInterface[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses, index) =>
    (addresses ?? []).map(({ address, family, internal }) => ({
      internal,
      index: index + 1,
      address: Buffer.from(ipaddr.parse(address).toByteArray()),
      family: family === 'IPv4' ? (4 as const) : (6 as const),
      linkSpeedBitsPerSecond: ASSUMED_LINK_SPEED_BITS_PER_SECOND,
      isLinkLocal: address.toLowerCase().startsWith('fe80'),
    })),
  )
  const usable = all.filter((each) => !each.isLinkLocal)
  const external = usable.filter((each) => !each.internal)
  return external.length > 0 ? external : usable
}
