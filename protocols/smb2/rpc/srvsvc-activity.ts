/** MS-SRVS 3.1.4.1, 3.1.4.2 and 3.1.4.5: NetrConnectionEnum, NetrFileEnum and NetrSessionEnum. */

import {
  decodeEnumeration,
  type EncodeEntry,
  type EnumerationRequest,
  encodeEnumeration,
  encodeEnumerationError,
  type Levels,
} from './enumeration.ts'
import { type RpcFile, type RpcHost, type RpcSession, type RpcTreeConnect, windowsPath } from './host.ts'
import type { Operation } from './interface.ts'
import type { NdrWriter } from './ndr.ts'
import { Win32Error } from './status.ts'

const ConnectionType = { disk: 0, ipc: 3 } as const
/** sesi1_user_flags (2.2.4.15). */
const SESSION_GUEST = 0x1
const COMPUTER_PREFIX = '\\\\'

const CONNECTION_LEVELS: Levels<RpcTreeConnect> = new Map<number, EncodeEntry<RpcTreeConnect>>([
  [0, (output, connection) => output.u32(connection.id)],
  [1, connection1],
])

function connection1(output: NdrWriter, connection: RpcTreeConnect): void {
  output.u32(connection.id).u32(ConnectionType[connection.shareType]).u32(connection.openFiles)
  output.u32(1).u32(connection.activeSeconds).stringPointer(connection.user).stringPointer(connection.share)
}

const FILE_LEVELS: Levels<RpcFile> = new Map<number, EncodeEntry<RpcFile>>([
  [2, (output, file) => output.u32(file.id)],
  [3, file3],
])

function file3(output: NdrWriter, file: RpcFile): void {
  output.u32(file.id).u32(file.permissions).u32(file.locks)
  output.stringPointer(windowsPath(file.path)).stringPointer(file.user)
}

const SESSION_LEVELS: Levels<RpcSession> = new Map<number, EncodeEntry<RpcSession>>([
  [0, (output, session) => output.stringPointer(session.client)],
  [1, session1],
  [2, session2],
  [10, session10],
  [502, (output, session) => session2(output, session).stringPointer('')],
])

function session1(output: NdrWriter, session: RpcSession): NdrWriter {
  output.stringPointer(session.client).stringPointer(session.user).u32(session.openFiles)
  return output
    .u32(session.activeSeconds)
    .u32(session.idleSeconds)
    .u32(session.guest ? SESSION_GUEST : 0)
}

function session2(output: NdrWriter, session: RpcSession): NdrWriter {
  return session1(output, session).stringPointer('')
}

function session10(output: NdrWriter, session: RpcSession): void {
  output.stringPointer(session.client).stringPointer(session.user)
  output.u32(session.activeSeconds).u32(session.idleSeconds)
}

const CONNECTION_UNION: ReadonlySet<number> = new Set(CONNECTION_LEVELS.keys())
const FILE_UNION: ReadonlySet<number> = new Set(FILE_LEVELS.keys())
const SESSION_UNION: ReadonlySet<number> = new Set(SESSION_LEVELS.keys())

/** Writes what an administrator asked for, and to everyone else that it is not theirs to see. */
function answer<T>(
  output: NdrWriter,
  host: RpcHost,
  request: EnumerationRequest,
  levels: Levels<T>,
  entries: () => readonly T[],
): void {
  const encode = levels.get(request.level)
  if (encode === undefined) encodeEnumerationError(output, request, Win32Error.INVALID_LEVEL)
  else if (!host.isAdministrator) encodeEnumerationError(output, request, Win32Error.ACCESS_DENIED)
  else encodeEnumeration(output, request, encode, entries())
}

/** An absent or empty filter lets everything through. */
function matches(filter: string | undefined, value: string): boolean {
  return filter === undefined || filter === '' || filter.toLowerCase() === value.toLowerCase()
}

function withoutComputerPrefix(name: string | undefined): string | undefined {
  return name?.startsWith(COMPUTER_PREFIX) ? name.slice(COMPUTER_PREFIX.length) : name
}

/** Opnum 8; the qualifier is a share, or a computer when it begins with `\\`. */
export const netrConnectionEnum: Operation = (input, output, host) => {
  input.uniqueString()
  const qualifier = input.uniqueString()
  const request = decodeEnumeration(input, CONNECTION_UNION)
  const computer = qualifier?.startsWith(COMPUTER_PREFIX)
  const wanted = withoutComputerPrefix(qualifier)
  answer(output, host, request, CONNECTION_LEVELS, () =>
    host
      .connections()
      .filter((connection) => matches(wanted, computer ? connection.client : connection.share)),
  )
}

/** Opnum 9; the base path is a prefix. */
export const netrFileEnum: Operation = (input, output, host) => {
  input.uniqueString()
  const basePath = (input.uniqueString() ?? '').toLowerCase()
  const user = input.uniqueString()
  const request = decodeEnumeration(input, FILE_UNION)
  answer(output, host, request, FILE_LEVELS, () =>
    host
      .files()
      .filter(
        (file) => matches(user, file.user) && windowsPath(file.path).toLowerCase().startsWith(basePath),
      ),
  )
}

/** Opnum 12. */
export const netrSessionEnum: Operation = (input, output, host) => {
  input.uniqueString()
  const client = withoutComputerPrefix(input.uniqueString())
  const user = input.uniqueString()
  const request = decodeEnumeration(input, SESSION_UNION)
  answer(output, host, request, SESSION_LEVELS, () =>
    host.sessions().filter((session) => matches(client, session.client) && matches(user, session.user)),
  )
}
