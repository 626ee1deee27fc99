/** The addresses of this host on which it can be reached, for clients that ask where they could connect. */

import { readdirSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import ipaddr from 'ipaddr.js'
import type { NetworkInterface } from '../../protocols/smb2/state/server.ts'
import { isUnspecified, type ListenAddress, sameFamily } from '../config/addresses.ts'

/** Where Linux tells of its interfaces; elsewhere nothing is there. */
const SYSTEM_INTERFACES = '/sys/class/net'
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
        index: interfaceIndex(name) ?? index + 1,
        address: Buffer.from(ipaddr.parse(address).toByteArray()),
        family: family === 'IPv4' ? (4 as const) : (6 as const),
        linkSpeedBitsPerSecond: linkSpeed(name),
        receiveSideScaling: hasSeveralQueues(name),
      })),
  )
  const external = all.filter((each) => !each.internal)
  return external.length > 0 ? external : all
}

function isListenedOn(address: string, listen: readonly ListenAddress[]): boolean {
  return listen.some(({ host }) => host === address || (isUnspecified(host) && sameFamily(host, address)))
}

function isLinkLocal(address: string): boolean {
  return ipaddr.parse(address).range() === 'linkLocal'
}

/** Linux tells it in megabits, or -1. */
function linkSpeed(name: string): number {
  const megabits = numberIn(name, 'speed') ?? 0
  return megabits > 0 ? megabits * BITS_PER_MEGABIT : ASSUMED_LINK_SPEED_BITS_PER_SECOND
}

/** The system's own number, which clients take for one interface's addresses belonging together. */
function interfaceIndex(name: string): number | undefined {
  return numberIn(name, 'ifindex')
}

/** What MS-SMB2 calls RSS. */
function hasSeveralQueues(name: string): boolean {
  try {
    const queues = readdirSync(join(SYSTEM_INTERFACES, baseName(name), 'queues'))
    return queues.filter((queue) => queue.startsWith('rx-')).length > 1
  } catch {
    return false
  }
}

function numberIn(name: string, attribute: string): number | undefined {
  try {
    const value = Number(readFileSync(join(SYSTEM_INTERFACES, baseName(name), attribute), 'utf8'))
    return Number.isSafeInteger(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Without the label of a further address, such as `eth0:1`. */
function baseName(name: string): string {
  return name.replace(/:.*/u, '')
}
