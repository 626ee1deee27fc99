/** MS-WKST 3.2.4.1: the Workstation Service Remote Protocol, NetrWkstaGetInfo alone. */

import { encodeInformation } from './enumeration.ts'
import type { RpcHost } from './host.ts'
import type { Operation, RpcInterface } from './interface.ts'
import type { NdrWriter } from './ndr.ts'
import { OS_VERSION, PLATFORM_ID_NT } from './srvsvc-server.ts'
import { Win32Error } from './status.ts'

/** Arms of WKSTA_INFO: a pointer stands there, even if it is NULL. */
function hasArm(level: number): boolean {
  return (level >= 100 && level <= 102) || level === 502 || (level >= 1010 && level <= 1062)
}
/** Levels that an administrator alone may ask for. */
const ADMINISTRATOR_LEVEL = 102

type Encode = (output: NdrWriter, host: RpcHost) => NdrWriter

const LEVELS: ReadonlyMap<number, Encode> = new Map<number, Encode>([
  [100, wksta100],
  [101, wksta101],
  [102, (output, host) => wksta101(output, host).u32(host.sessions().length)],
])

function wksta100(output: NdrWriter, host: RpcHost): NdrWriter {
  output.u32(PLATFORM_ID_NT).stringPointer(host.serverName).stringPointer(host.domainName)
  return output.u32(OS_VERSION.major).u32(OS_VERSION.minor)
}

function wksta101(output: NdrWriter, host: RpcHost): NdrWriter {
  return wksta100(output, host).stringPointer('')
}

/** Opnum 0. */
const netrWkstaGetInfo: Operation = (input, output, host) => {
  input.uniqueString()
  const level = input.u32()
  const encode = LEVELS.get(level)
  const denied = level === ADMINISTRATOR_LEVEL && !host.isAdministrator
  const write = encode === undefined || denied ? undefined : () => encode(output, host)
  encodeInformation(output, level, hasArm(level), write)
  if (denied) output.u32(Win32Error.ACCESS_DENIED)
  else output.u32(encode === undefined ? Win32Error.INVALID_LEVEL : Win32Error.SUCCESS)
}

export const WKSSVC: RpcInterface = {
  uuid: '6bffd098-a112-3610-9833-46c3f87e345a',
  majorVersion: 1,
  minorVersion: 0,
  operations: new Map([[0, netrWkstaGetInfo]]),
}
