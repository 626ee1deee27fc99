/** MS-FSCC 2.4.17 FileIdBothDirectoryInformation as Macs want it: rights, resource fork and Finder's information in fields that only Windows needs. */

import type { DirectoryEntry, FileStat, Permissions } from '../../../storage/file-system.ts'
import type { Token } from '../commands/access-check.ts'
import { allowedAccess } from '../commands/access-check.ts'
import { type DirectoryListEntry, SHORT_NAME_AREA_BYTES } from '../fscc/directory-information.ts'
import type { AaplListing } from '../state/connection.ts'
import { unixModeOf } from './unix-mode.ts'

/** In the place of ShortNameLength: the entry has no streams, so the client need not ask for them. */
const NO_XATTRS = 0x0001
/** The first version has ShortNameLength there: how much of ShortName is in use. */
const SHORT_NAME_BYTES = 24
/** Behind the flags: resource fork length, and 16 bytes of what the Finder knows. */
const FORK_LENGTH_OFFSET = 2
const FINDER_OFFSET = 10
const DATE_ADDED_OFFSET = FINDER_OFFSET + 12
/** In AFP_AfpInfo's FinderInfo: type and creator, flags, date added, extended flags. */
const TYPE_CREATOR_BYTES = 8
const FLAGS_OFFSET = 8
const DATE_ADDED_IN_INFO = 20
const EXTENDED_FLAGS_OFFSET = 24
/** Seconds from 1970 to 2000, when the Mac's dates begin. */
const SECONDS_TO_2000 = 946_684_800n
const NANOSECONDS_PER_SECOND = 1_000_000_000n

/** What decides the rights that entries are shown with. */
export interface MacViewer {
  readonly listing: AaplListing
  readonly token: () => Token
  /** TreeConnect.MaximalAccess */
  readonly shareAccess: number
  /** Stored with the directory that is listed. */
  readonly parentDescriptor: Buffer | undefined
  /** The Mac has seen this entry: it may ask for it by its id. */
  readonly meets: (entry: DirectoryEntry) => void
  /** What was found so far of entries without a descriptor: storage gives entries of the same rights the same object. */
  readonly known: Map<Permissions, number>
}

/** The entry with the Mac's fields. @param plain as other clients see it */
export function macEntryOf(
  plain: DirectoryListEntry,
  entry: DirectoryEntry,
  stat: FileStat,
  viewer: MacViewer,
): DirectoryListEntry {
  // Named one by one: measured, spreading them is slow.
  return {
    creationTime: plain.creationTime,
    lastAccessTime: plain.lastAccessTime,
    lastWriteTime: plain.lastWriteTime,
    changeTime: plain.changeTime,
    endOfFile: plain.endOfFile,
    allocationSize: plain.allocationSize,
    fileAttributes: plain.fileAttributes,
    eaSize: maximalAccessOf(entry, viewer),
    reparseTag: plain.reparseTag ?? 0,
    shortName: '',
    shortNameRaw: shortNameAreaOf(entry, stat, viewer.listing),
    reserved2: unixModeOf(stat),
    fileId: plain.fileId,
    fileName: plain.fileName,
  }
}

/** Specific rights, not generic ones: the Finder shows no-entry signs otherwise. */
function maximalAccessOf(entry: DirectoryEntry, viewer: MacViewer): number {
  const { permissions, securityDescriptor } = entry
  const { token, shareAccess, parentDescriptor, known } = viewer
  if (permissions === undefined) return shareAccess
  const found = securityDescriptor === undefined ? known.get(permissions) : undefined
  if (found !== undefined) return found
  const access = allowedAccess({ permissions, securityDescriptor, parentDescriptor }, token, shareAccess)
  if (securityDescriptor === undefined) known.set(permissions, access)
  return access
}

function shortNameAreaOf({ mac }: DirectoryEntry, stat: FileStat, listing: AaplListing): Buffer {
  const area = Buffer.alloc(SHORT_NAME_AREA_BYTES)
  if (!listing.readDirAttrV2) area.writeUInt8(SHORT_NAME_BYTES, 0)
  else if (mac === undefined) area.writeUInt16LE(NO_XATTRS, 0)
  const info = mac?.finderInfo
  if (mac !== undefined) area.writeBigUInt64LE(BigInt(mac.resourceForkBytes), FORK_LENGTH_OFFSET)
  if (info !== undefined) {
    if (stat.type !== 'directory') area.set(info.subarray(0, TYPE_CREATOR_BYTES), FINDER_OFFSET)
    area.set(info.subarray(FLAGS_OFFSET, FLAGS_OFFSET + 2), FINDER_OFFSET + 8)
    area.set(info.subarray(EXTENDED_FLAGS_OFFSET, EXTENDED_FLAGS_OFFSET + 2), FINDER_OFFSET + 10)
  }
  const added = info?.subarray(DATE_ADDED_IN_INFO, DATE_ADDED_IN_INFO + 4)
  if (added?.some((byte) => byte !== 0)) area.set(added, DATE_ADDED_OFFSET)
  else area.writeInt32BE(dateAddedOf(stat), DATE_ADDED_OFFSET)
  return area
}

/** Without one of its own, an entry was added when the file was made. */
function dateAddedOf({ birthTime }: FileStat): number {
  return Number(BigInt.asIntN(32, birthTime / NANOSECONDS_PER_SECOND - SECONDS_TO_2000))
}
