/** MS-FSCC 2.4, 2.6: what storage says of a file, in the protocol's terms. */

import type { FileStat } from '../../../storage/file-system.ts'
import { toFiletime } from '../../wire/filetime.ts'
import { FileAttribute } from '../fscc/attributes.ts'
import type { FileTimes } from '../fscc/file-information.ts'
import { type PosixFacts, posixModeOf } from '../fscc/posix-information.ts'
import { ReparseTag } from '../fscc/reparse.ts'
import { SYMLINK_FLAG_RELATIVE, symbolicLinkErrorData } from '../messages/error.ts'
import type { FileAttributeFields } from '../messages/file-attribute-fields.ts'
import type { Connection } from '../state/connection.ts'
import type { Open } from '../state/open.ts'
import type { Server, Share } from '../state/server.ts'

/** FileAttributes of a file: the stored bits, those that its type adds, and HIDDEN where the share says so. */
export function fileAttributesOf(stat: FileStat, share: Share, name: string): number {
  let attributes = stat.dosAttributes
  if (stat.type === 'directory') attributes |= FileAttribute.DIRECTORY
  if (reparseTagOf(stat) !== 0) attributes |= FileAttribute.REPARSE_POINT
  if (isHiddenByShare(share, name)) attributes |= FileAttribute.HIDDEN
  return attributes === 0 ? FileAttribute.NORMAL : attributes
}

/** FileId, FileReferenceNumber: 0 for Macs where the share keeps it from them; to them it is none. */
export function fileIdOf(
  { fileId }: FileStat,
  { zeroFileId }: Share,
  { negotiatedAapl }: Pick<Connection, 'negotiatedAapl'>,
): bigint {
  return zeroFileId && negotiatedAapl ? 0n : fileId
}

const DEVICE_BITS = 32

/** 0 for files and directories. Pipes, sockets and devices are shown as a server for NFS shows them. */
export function reparseTagOf({ type }: FileStat): number {
  if (type === 'file' || type === 'directory') return 0
  return type === 'symlink' ? ReparseTag.SYMLINK : ReparseTag.NFS
}

/** For the create context and the information classes of the POSIX extensions. */
export function posixFactsOf(stat: FileStat): PosixFacts {
  return {
    links: stat.links,
    reparseTag: reparseTagOf(stat),
    mode: posixModeOf(stat.type, stat.mode),
    uid: stat.uid,
    gid: stat.gid,
    device: Number(BigInt.asUintN(DEVICE_BITS, stat.volumeId)),
  }
}

/** MS-SMB2 2.2.2.2.1: where a link leads; as links that were made here lie below the share, most are relative. */
export function stoppedOnSymlinkData(target: string): Buffer {
  const name = target.replaceAll('/', '\\')
  const flags = name.startsWith('\\') ? 0 : SYMLINK_FLAG_RELATIVE
  return symbolicLinkErrorData({ unparsedPathLength: 0, substituteName: name, printName: name, flags })
}

function isHiddenByShare(share: Share, name: string): boolean {
  if (share.hideDotFiles && name.length > 1 && name.startsWith('.') && name !== '..') return true
  return share.hidden?.(name) === true
}

export function fileTimesOf(stat: FileStat): FileTimes {
  return {
    creationTime: toFiletime(stat.birthTime),
    lastAccessTime: toFiletime(stat.accessTime),
    lastWriteTime: toFiletime(stat.writeTime),
    changeTime: toFiletime(stat.changeTime),
  }
}

/** The open's file, with the times that clients are shown. */
export async function shownStat(server: Server, open: Open): Promise<FileStat> {
  const stat = await open.file.handle.stat()
  return open.file.node.node.times.shown(stat, server.environment.now())
}

/** The fields that CREATE and CLOSE responses share. */
export function attributeFieldsOf(stat: FileStat, share: Share, name: string): FileAttributeFields {
  const { creationTime, lastAccessTime, lastWriteTime, changeTime } = fileTimesOf(stat)
  return {
    creationTime,
    lastAccessTime,
    lastWriteTime,
    changeTime,
    allocationSize: stat.allocated,
    endOfFile: stat.size,
    fileAttributes: fileAttributesOf(stat, share, name),
  }
}

/** Last component of a '\'-separated path, without its stream. */
export function baseNameOf(pathName: string): string {
  const name = pathName.slice(pathName.lastIndexOf('\\') + 1)
  const colon = name.indexOf(':')
  return colon < 0 ? name : name.slice(0, colon)
}
