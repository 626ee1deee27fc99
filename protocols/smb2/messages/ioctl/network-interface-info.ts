/** MS-SMB2 2.2.32.5: NETWORK_INTERFACE_INFO Response: interfaces with SOCKADDR_STORAGE (2.2.32.5.1). */

import { DecodeError } from '../../../wire/errors.ts'
import type { Reader } from '../../../wire/reader.ts'
import type { Writer } from '../../../wire/writer.ts'
import { checkCount } from '../structure.ts'

export interface NetworkInterfaceInfo {
  ifIndex: number
  capability: number
  /** Bits per second */
  linkSpeed: bigint
  family: 'IPv4' | 'IPv6'
  /** 4 or 16 bytes in network order. */
  address: Buffer
}

export const InterfaceCapability = { RSS: 0x0000_0001, RDMA: 0x0000_0002 } as const

/** Interfaces in one list. */
export const MAX_NETWORK_INTERFACES = 256
const ENTRY_BYTES = 152
const SOCKADDR_BYTES = 128
/** The constants of Windows, whatever the system of either side calls them. */
const AF_INET = 0x0002
const AF_INET6 = 0x0017
const IPV4_BYTES = 4
const IPV6_BYTES = 16

export function encodeNetworkInterfaceInfo(
  writer: Writer,
  interfaces: readonly NetworkInterfaceInfo[],
): void {
  interfaces.forEach((entry, index) => {
    writer
      .u32(index < interfaces.length - 1 ? ENTRY_BYTES : 0)
      .u32(entry.ifIndex)
      .u32(entry.capability)
      .u32(0)
      .u64(entry.linkSpeed)
    const sockaddrBegan = writer.length
    // Port, and for IPv6 flow information and scope, are zero: 2.2.32.5.1.1 and .2.
    if (entry.family === 'IPv4') writer.u16(AF_INET).u16(0).bytes(entry.address)
    else writer.u16(AF_INET6).u16(0).u32(0).bytes(entry.address).u32(0)
    writer.zeros(SOCKADDR_BYTES - (writer.length - sockaddrBegan))
  })
}

/** @throws DecodeError for a family other than the two, or a list that does not end */
export function decodeNetworkInterfaceInfo(reader: Reader): NetworkInterfaceInfo[] {
  const interfaces: NetworkInterfaceInfo[] = []
  for (let at = reader.offset; ; ) {
    checkCount(interfaces.length + 1, MAX_NETWORK_INTERFACES, 'network interfaces')
    const entry = reader.sub(at, ENTRY_BYTES)
    const next = entry.u32()
    interfaces.push(readInterface(entry))
    if (next === 0) return interfaces
    if (next < ENTRY_BYTES) throw new DecodeError('Next of a network interface is too small')
    at += next
  }
}

function readInterface(reader: Reader): NetworkInterfaceInfo {
  const ifIndex = reader.u32()
  const capability = reader.u32()
  reader.skip(4)
  const linkSpeed = reader.u64()
  const family = reader.u16()
  reader.skip(2)
  if (family === AF_INET) {
    return { ifIndex, capability, linkSpeed, family: 'IPv4', address: reader.bytes(IPV4_BYTES) }
  }
  if (family !== AF_INET6) throw new DecodeError(`address family ${family} is neither IPv4 nor IPv6`)
  reader.skip(4)
  return { ifIndex, capability, linkSpeed, family: 'IPv6', address: reader.bytes(IPV6_BYTES) }
}
