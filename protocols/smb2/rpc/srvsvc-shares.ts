/** MS-SRVS 3.1.4.8 to 3.1.4.14: NetrShareEnum, NetrShareEnumSticky, NetrShareGetInfo and NetrShareCheck. */

import {
  decodeEnumeration,
  type EncodeEntry,
  encodeEnumeration,
  encodeEnumerationError,
  encodeInformation,
} from './enumeration.ts'
import { type RpcHost, type RpcShare, windowsPath } from './host.ts'
import type { Operation } from './interface.ts'
import type { NdrWriter } from './ndr.ts'
import { Win32Error } from './status.ts'

/** 2.2.2.4: share types. */
const ShareType = { DISKTREE: 0, IPC: 3, SPECIAL: 0x8000_0000 } as const
const TYPES = { disk: ShareType.DISKTREE, ipc: ShareType.IPC } as const
const UNLIMITED_USERS = 0xffff_ffff
const HIDDEN_SUFFIX = '$'
/** 2.2.4.29 shi1005_flags: files may be cached by hand, not in DFS. */
const CACHE_MANUAL = 0
/** shi503_servername of a share that belongs to no particular name of the server. */
const ANY_SERVER_NAME = '*'

/** A share as one caller sees it. */
interface ShareEntry extends RpcShare {
  readonly shownPath: string
}

/** Levels of the unions SHARE_ENUM_UNION (2.2.3.2) and SHARE_INFO (2.2.3.6). */
const LEVELS: ReadonlyMap<number, EncodeEntry<ShareEntry>> = new Map<number, EncodeEntry<ShareEntry>>([
  [0, (output, share) => output.stringPointer(share.name)],
  [1, level1],
  [2, level2],
  [501, (output, share) => level1(output, share).u32(CACHE_MANUAL)],
  [502, (output, share) => securityDescriptor(level2(output, share), share)],
  [503, level503],
  [1004, (output, share) => output.stringPointer(share.comment)],
  [1005, (output) => output.u32(CACHE_MANUAL)],
  [1006, (output) => output.u32(UNLIMITED_USERS)],
  [1007, (output) => output.u32(0).stringPointer('')],
  [1501, securityDescriptor],
])

const UNION_LEVELS: ReadonlySet<number> = new Set(LEVELS.keys())
/** 3.1.4.8, 3.1.4.10: for administrators; users get them without what they must not see, as Samba's have them. */
const NOT_ANONYMOUS_LEVELS: ReadonlySet<number> = new Set([2, 502, 503, 1501])
/** 3.1.4.13: NetrShareEnumSticky has no such level. */
const NOT_STICKY_LEVEL = 501

function level1(output: NdrWriter, share: ShareEntry): NdrWriter {
  return output.stringPointer(share.name).u32(typeOf(share)).stringPointer(share.comment)
}

function level2(output: NdrWriter, share: ShareEntry): NdrWriter {
  level1(output, share).u32(0).u32(UNLIMITED_USERS).u32(share.currentUsers)
  return output.stringPointer(share.shownPath).stringPointer('')
}

function level503(output: NdrWriter, share: ShareEntry): void {
  securityDescriptor(level2(output, share).stringPointer(ANY_SERVER_NAME), share)
}

function securityDescriptor(output: NdrWriter, share: ShareEntry): void {
  const descriptor = share.securityDescriptor
  output.u32(descriptor?.length ?? 0)
  output.pointer(descriptor === undefined ? undefined : () => output.byteArray(descriptor))
}

function typeOf(share: RpcShare): number {
  return TYPES[share.type] | (isHidden(share) ? ShareType.SPECIAL : 0)
}

function isHidden(share: RpcShare): boolean {
  return share.name.endsWith(HIDDEN_SUFFIX)
}

/** Where a share lies on this machine is no one's business but the administrator's. */
function entryFor(share: RpcShare, host: RpcHost): ShareEntry {
  return { ...share, shownPath: host.isAdministrator ? windowsPath(share.path) : '' }
}

function isDenied(level: number, host: RpcHost): boolean {
  return host.user.kind !== 'user' && NOT_ANONYMOUS_LEVELS.has(level)
}

function enumerate(sticky: boolean): Operation {
  return (input, output, host) => {
    input.uniqueString()
    const request = decodeEnumeration(input, UNION_LEVELS)
    const encode = LEVELS.get(request.level)
    if (encode === undefined || (sticky && request.level === NOT_STICKY_LEVEL)) {
      encodeEnumerationError(output, request, Win32Error.INVALID_LEVEL)
      return
    }
    if (isDenied(request.level, host)) {
      encodeEnumerationError(output, request, Win32Error.ACCESS_DENIED)
      return
    }
    const shares = host.shares().filter((share) => !(sticky && isHidden(share)))
    const entries = shares.map((share) => entryFor(share, host))
    encodeEnumeration(output, request, encode, entries)
  }
}

/** Opnum 15: all shares that the caller may see. */
export const netrShareEnum = enumerate(false)

/** Opnum 36: those that are kept in the configuration, which the hidden ones are not. */
export const netrShareEnumSticky = enumerate(true)

/** Opnum 16. */
export const netrShareGetInfo: Operation = (input, output, host) => {
  input.uniqueString()
  const name = input.string().toLowerCase()
  const level = input.u32()
  const share = host.shares().find((candidate) => candidate.name.toLowerCase() === name)
  const encode = LEVELS.get(level)
  const denied = isDenied(level, host)
  const write = encode && share && !denied ? () => encode(output, entryFor(share, host)) : undefined
  encodeInformation(output, level, encode !== undefined, write)
  if (write !== undefined) output.u32(Win32Error.SUCCESS)
  else if (encode === undefined) output.u32(Win32Error.INVALID_LEVEL)
  else output.u32(denied ? Win32Error.ACCESS_DENIED : Win32Error.NERR_NET_NAME_NOT_FOUND)
}

/** Opnum 20: whether a path, as level 2 shows it, is shared, and as what. */
export const netrShareCheck: Operation = (input, output, host) => {
  input.uniqueString()
  const path = input.string().toLowerCase()
  const share = host.shares().find((candidate) => entryFor(candidate, host).shownPath.toLowerCase() === path)
  output.u32(share === undefined ? ShareType.DISKTREE : typeOf(share))
  output.u32(share === undefined ? Win32Error.NERR_DEVICE_NOT_SHARED : Win32Error.SUCCESS)
}
