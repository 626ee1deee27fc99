/** The addresses of this host on which it can be reached, for clients that ask where they could connect. */

import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import ipaddr from 'ipaddr.js'
import type { NetworkInterface } from '../../protocols/smb2/state/server.ts'
import { isUnspecified, type ListenAddress } from '../config/addresses.ts'

const BITS_PER_MEGABIT = 1_000_000
/** Where the system does not know (loopback, virtual interfaces): clients only compare the numbers. */
const ASSUMED_LINK_SPEED_BITS_PER_SECOND = 1_000 * BITS_PER_MEGABIT

/**
 * @param listen what the server listens on: addresses that it does not answer on are no use to a client
 * @returns loopback only when there is nothing else, and no link-local addresses, which mean nothing elsewhere
 */
export function hostInterfaces(listen: readonly ListenAddress[]): NetworkInterface[] {
  const all = Object.entries(networkInterfaces()).flatMap(([name, addresses], index) =>
    (addresses ?? [])
      .filter(({ address }) => isListenedOn(address, listen) && !isLinkLocal(address))
      .map(({ address, family, internal }) => ({
        internal,
        index: index + 1,
        address: Buffer.from(ipaddr.parse(address).toByteArray()),
        family: family === 'IPv4' ? (4 as const) : (6 as const),
        linkSpeedBitsPerSecond: linkSpeed(name),
      })),
  )
  const external = all.filter((each) => !each.internal)
  return external.length > 0 ? external : all
}

function isListenedOn(address: string, listen: readonly ListenAddress[]): boolean {
  return listen.some(
    ({ host }) =>
      host === address || (isUnspecified(host) && ipaddr.parse(host).kind() === ipaddr.parse(address).kind()),
  )
}

function isLinkLocal(address: string): boolean {
  return ipaddr.parse(address).range() === 'linkLocal'
}

/** Linux tells it in megabits, or -1. */
function linkSpeed(name: string): number {
  try {
    const megabits = Number(readFileSync(`/sys/class/net/${name}/speed`, 'utf8'))
    return megabits > 0 ? megabits * BITS_PER_MEGABIT : ASSUMED_LINK_SPEED_BITS_PER_SECOND
  } catch {
    return ASSUMED_LINK_SPEED_BITS_PER_SECOND
  }
}
