/** What a Mac's listing shows of a file's streams: AFP_AfpInfo and AFP_Resource, kept as Samba's streams_xattr keeps them. */

import type { MacMetadata } from '../file-system.ts'
import { streamOfXattr, streamSize } from './dos-stream.ts'

const AFP_INFO = 'afp_afpinfo'
const AFP_RESOURCE = 'afp_resource'
/** AFP_AfpInfo: the Finder's information lies behind signature, version and backup time. */
const FINDER_INFO_OFFSET = 16
export const FINDER_INFO_BYTES = 32

/** Where a stream's bytes are read, or only counted. */
export interface StreamSource {
  /** The whole value of an attribute, as a view; undefined when there is none. */
  value(xattr: string): Buffer | undefined
}

/** @param xattrs names of all attributes of the file. @returns undefined when it has no streams */
export function macMetadataOf(xattrs: readonly string[], source: StreamSource): MacMetadata | undefined {
  let hasStreams = false
  let resourceForkBytes = 0
  let finderInfo: Uint8Array | undefined
  for (const xattr of xattrs) {
    const stream = streamOfXattr(xattr)?.toLowerCase()
    if (stream === undefined) continue
    hasStreams = true
    if (stream === AFP_RESOURCE) resourceForkBytes = streamSize(source.value(xattr)?.length ?? 0)
    else if (stream === AFP_INFO) finderInfo = finderInfoOf(source.value(xattr))
  }
  if (!hasStreams) return undefined
  return finderInfo === undefined ? { resourceForkBytes } : { resourceForkBytes, finderInfo }
}

/** The Finder's information in an AFP_AfpInfo stream; undefined when that is too short. */
export function finderInfoOf(afpInfo: Buffer | undefined): Uint8Array | undefined {
  const end = FINDER_INFO_OFFSET + FINDER_INFO_BYTES
  if (afpInfo === undefined || afpInfo.length < end) return undefined
  return new Uint8Array(afpInfo.subarray(FINDER_INFO_OFFSET, end))
}
