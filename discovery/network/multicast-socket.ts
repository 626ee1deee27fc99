/** A UDP socket that belongs to one link and one family and has joined one multicast group there. */

import { createSocket, type Socket } from 'node:dgram'
import { addressesOf, type Family, type Link } from './link.ts'
import { openBoundSocket } from './native-socket.ts'

/** RFC 6762 11: all that is sent has 255. */
const UNICAST_HOPS = 255

export interface MulticastSocketOptions {
  readonly link: Link
  readonly family: Family
  readonly port: number
  readonly group: string
  /** TTL or hop limit of what is sent to the group. */
  readonly hops: number
}

/**
 * @returns a socket that is bound, has joined, and sends multicast on its link
 * @throws NodeJS.ErrnoException when the port is taken by someone who does not share it, or the link is gone
 */
export async function openMulticastSocket(options: MulticastSocketOptions): Promise<Socket> {
  const { link, family, port, group, hops } = options
  const [first] = addressesOf(link, family)
  if (first === undefined) throw new Error(`${link.name} has no IPv${family} address`)
  const socket = createSocket(family === 4 ? 'udp4' : 'udp6')
  try {
    await bind(socket, openBoundSocket(family, port, link.name))
    const via = family === 4 ? first.address : `::%${link.name}`
    socket.addMembership(group, via)
    socket.setMulticastInterface(via)
    socket.setMulticastTTL(hops)
    socket.setTTL(UNICAST_HOPS)
    // Other programs on this host find us as well.
    socket.setMulticastLoopback(true)
    return socket
  } catch (error) {
    socket.close()
    throw error
  }
}

function bind(socket: Socket, fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind({ fd, exclusive: true }, () => {
      socket.removeListener('error', reject)
      resolve()
    })
  })
}
