/** MS-SRVS 3.1.4.17, 3.1.4.19, 3.1.4.21 and 3.1.4.31: NetrServerGetInfo, NetrServerDiskEnum, NetrRemoteTOD and NetprNameValidate. */

import { DecodeError } from '../../wire/errors.ts'
import { encodeInformation } from './enumeration.ts'
import type { RpcHost } from './host.ts'
import type { Operation } from './interface.ts'
import type { NdrReader, NdrWriter } from './ndr.ts'
import { Win32Error } from './status.ts'

/** PLATFORM_ID_NT (2.2.2.6). */
export const PLATFORM_ID_NT = 500
/** What a server of SMB 2.1 and newer is taken for: Windows 7 or Server 2008 R2. */
export const OS_VERSION = { major: 6, minor: 1 } as const

/** 2.2.2.7: WORKSTATION | SERVER | NT | SERVER_NT. */
const SERVER_TYPE = 0x9003
const UNLIMITED_USERS = 0xffff_ffff
const AUTO_DISCONNECT_MINUTES = 15
const ANNOUNCE_SECONDS = 240
const ANNOUNCE_DELTA_MILLISECONDS = 3000
/** Users per licence: licences are not counted. */
const LICENSES = 100_000
const USER_PATH = 'C:\\'

/** Arms of SERVER_INFO (2.2.3.7) beside those answered: a pointer stands there, even if it is NULL. */
function hasServerArm(level: number): boolean {
  return (level >= 100 && level <= 103) || UNANSWERED_ARMS.has(level) || (level >= 1501 && level <= 1556)
}
const UNANSWERED_ARMS: ReadonlySet<number> = new Set([
  402, 403, 502, 503, 599, 1005, 1010, 1016, 1017, 1018, 1107,
])

type Encode = (output: NdrWriter, host: RpcHost) => NdrWriter

const SERVER_LEVELS: ReadonlyMap<number, Encode> = new Map<number, Encode>([
  [100, server100],
  [101, server101],
  [102, server102],
])

function server100(output: NdrWriter, host: RpcHost): NdrWriter {
  return output.u32(PLATFORM_ID_NT).stringPointer(host.serverName)
}

function server101(output: NdrWriter, host: RpcHost): NdrWriter {
  server100(output, host).u32(OS_VERSION.major).u32(OS_VERSION.minor)
  return output.u32(SERVER_TYPE).stringPointer(host.comment)
}

function server102(output: NdrWriter, host: RpcHost): NdrWriter {
  server101(output, host).u32(UNLIMITED_USERS).u32(AUTO_DISCONNECT_MINUTES).u32(0)
  return output.u32(ANNOUNCE_SECONDS).u32(ANNOUNCE_DELTA_MILLISECONDS).u32(LICENSES).stringPointer(USER_PATH)
}

/** Opnum 21. */
export const netrServerGetInfo: Operation = (input, output, host) => {
  input.uniqueString()
  const level = input.u32()
  const encode = SERVER_LEVELS.get(level)
  const write = encode === undefined ? undefined : () => encode(output, host)
  encodeInformation(output, level, hasServerArm(level), write)
  output.u32(encode === undefined ? Win32Error.INVALID_LEVEL : Win32Error.SUCCESS)
}

/** The one drive on which `windowsPath` puts everything; an empty name ends the list. */
const DRIVES = ['C:', '']

/** Opnum 23. */
export const netrServerDiskEnum: Operation = (input, output) => {
  input.uniqueString()
  const level = input.u32()
  input.u32()
  if (input.pointer()) skipDisks(input)
  input.u32()
  const resumeHandle = input.uniqueU32()
  const valid = level === 0
  output.construct(() => {
    output.u32(valid ? DRIVES.length : 0)
    output.pointer(valid ? () => disks(output) : undefined)
  })
  output.u32(valid ? DRIVES.length - 1 : 0)
  output.uniqueU32(resumeHandle === undefined ? undefined : 0)
  output.u32(valid ? Win32Error.SUCCESS : Win32Error.INVALID_LEVEL)
}

function skipDisks(input: NdrReader): void {
  input.u32()
  input.u32()
  const count = input.u32()
  if (count !== 0) throw new DecodeError('disks in a request')
}

function disks(output: NdrWriter): void {
  output.u32(DRIVES.length).u32(0).u32(DRIVES.length)
  for (const drive of DRIVES) output.varyingString(drive)
}

const MILLISECONDS_PER_SECOND = 1000
const MILLISECONDS_PER_HUNDREDTH = 10
const CLOCK_TICK_TENTHS_OF_MILLISECOND = 10_000

/** Opnum 28: TIME_OF_DAY_INFO (2.2.4.105), in UTC, so that the time zone is 0. */
export const netrRemoteTod: Operation = (input, output, host) => {
  input.uniqueString()
  const milliseconds = host.now()
  const now = new Date(milliseconds)
  output.construct(() => {
    output.pointer(() => {
      output.u32(Math.floor(milliseconds / MILLISECONDS_PER_SECOND)).u32(milliseconds % 0x1_0000_0000)
      output.u32(now.getUTCHours()).u32(now.getUTCMinutes()).u32(now.getUTCSeconds())
      output.u32(Math.floor(now.getUTCMilliseconds() / MILLISECONDS_PER_HUNDREDTH))
      output.u32(0).u32(CLOCK_TICK_TENTHS_OF_MILLISECOND)
      output
        .u32(now.getUTCDate())
        .u32(now.getUTCMonth() + 1)
        .u32(now.getUTCFullYear())
        .u32(now.getUTCDay())
    })
  })
  output.u32(Win32Error.SUCCESS)
}

/** NAMETYPE_SHARE. */
const NAME_TYPE_SHARE = 9
const MAXIMUM_SHARE_NAME_CHARACTERS = 80
/** LM 2.0 rules: 8.3. */
const FLAG_LANMAN = 0x8000_0000
const MAXIMUM_LANMAN_SHARE_NAME_CHARACTERS = 12
const INVALID_SHARE_NAME_CHARACTERS = '"/\\[]:|<>+;,?*='

/** Opnum 33: whether a share may have this name; the other types of names are not judged. */
export const netprNameValidate: Operation = (input, output) => {
  input.uniqueString()
  const name = input.string()
  const nameType = input.u32()
  const flags = input.u32()
  output.u32(validateName(name, nameType, flags))
}

function validateName(name: string, nameType: number, flags: number): number {
  if (flags !== 0 && flags !== FLAG_LANMAN) return Win32Error.INVALID_PARAMETER
  if (nameType !== NAME_TYPE_SHARE) return Win32Error.INVALID_LEVEL
  const longest = flags === 0 ? MAXIMUM_SHARE_NAME_CHARACTERS : MAXIMUM_LANMAN_SHARE_NAME_CHARACTERS
  const valid =
    name.length > 0 &&
    name.length <= longest &&
    [...name].every((character) => character >= ' ' && !INVALID_SHARE_NAME_CHARACTERS.includes(character))
  return valid ? Win32Error.SUCCESS : Win32Error.INVALID_NAME
}
