/** A UDP socket of one interface alone, by the system's calls: node:dgram cannot bind to a device, nor set an option before binding. */

import koffi from 'koffi'
import type { Family } from './link.ts'

/** linux/socket.h, asm-generic/socket.h, linux/in.h, linux/in6.h. */
const AF_INET = 2
const AF_INET6 = 10
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_REUSEPORT = 15
const SO_BINDTODEVICE = 25
const IPPROTO_IP = 0
const IPPROTO_IPV6 = 41
const IP_MULTICAST_ALL = 49
const IPV6_V6ONLY = 26
const IPV6_MULTICAST_ALL = 29
const SOCKADDR_IN_BYTES = 16
const SOCKADDR_IN6_BYTES = 28
const PORT_OFFSET = 2

interface Calls {
  socket(domain: number, type: number, protocol: number): number
  setsockopt(fd: number, level: number, name: number, value: Buffer, length: number): number
  bind(fd: number, address: Buffer, length: number): number
  close(fd: number): number
}

let loaded: Calls | undefined

function calls(): Calls {
  if (loaded === undefined) {
    const library = koffi.load(null)
    loaded = {
      socket: library.func('int socket(int domain, int type, int protocol)'),
      setsockopt: library.func(
        'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
      ),
      bind: library.func('int bind(int fd, const void *address, uint32_t length)'),
      close: library.func('int close(int fd)'),
    } as Calls
  }
  return loaded
}

/**
 * Binds the port on all addresses of one interface, beside others that share it (Avahi, wsdd). Bound to the device, it gets
 * what arrives there and nothing else: Linux hands a multicast packet to every socket of the port whose group *any* socket
 * has joined, and an answer with another link's addresses is what Windows ignores and Macs time out on.
 *
 * @returns the descriptor, which the caller owns
 * @throws NodeJS.ErrnoException with `code`, such as EADDRINUSE
 */
export function openBoundSocket(family: Family, port: number, device: string): number {
  const native = calls()
  const fd = native.socket(family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) throw lastError('socket')
  try {
    // Both: another responder may have set only one of them, and then only that one lets two share the port.
    setFlag(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    setFlag(fd, SOL_SOCKET, SO_REUSEPORT, 1)
    if (family === 4) {
      setFlag(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0)
    } else {
      setFlag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)
      setFlag(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
    }
    const name = Buffer.from(`${device}\0`)
    if (native.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length) !== 0) {
      throw lastError('SO_BINDTODEVICE')
    }
    const address = anyAddress(family, port)
    if (native.bind(fd, address, address.length) !== 0) throw lastError('bind')
    return fd
  } catch (error) {
    native.close(fd)
    throw error
  }
}

/** Whether the port can be bound beside whoever has it. @returns the system's error code when it cannot */
export function whyPortNotBindable(family: Family, port: number, device: string): string | undefined {
  try {
    calls().close(openBoundSocket(family, port, device))
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}

function setFlag(fd: number, level: number, name: number, value: number): void {
  const bytes = Buffer.from(Int32Array.of(value).buffer)
  if (calls().setsockopt(fd, level, name, bytes, bytes.length) !== 0) throw lastError(`option ${name}`)
}

function anyAddress(family: Family, port: number): Buffer {
  const bytes = Buffer.alloc(family === 4 ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES)
  const kind = Buffer.from(Uint16Array.of(family === 4 ? AF_INET : AF_INET6).buffer)
  kind.copy(bytes)
  bytes.writeUInt16BE(port, PORT_OFFSET)
  return bytes
}

function lastError(what: string): NodeJS.ErrnoException {
  const errno = koffi.errno()
  const known: Readonly<Record<string, number>> = koffi.os.errno
  const code = Object.keys(known).find((name) => known[name] === errno) ?? `errno ${errno}`
  return Object.assign(new Error(`${what}: ${code}`), { code, errno })
}
