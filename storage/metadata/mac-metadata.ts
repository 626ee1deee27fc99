/** What a Mac's listing shows of a file's streams, in whatever format they are: streams_xattr's first, then netatalk's, then a sidecar's. */

import type { MacMetadata } from '../file-system.ts'
import { isEmptyFinderInfo } from './afp-info.ts'
import { type AppleStream, appleStreamOf, presentFinderInfo } from './apple-streams.ts'
import { continuations, decodeStream, streamOfXattr, streamSize, xattrOfContinuation } from './dos-stream.ts'
import { decodeNetatalkMetadata, NETATALK_METADATA_XATTR, NETATALK_RESOURCE_XATTR } from './netatalk.ts'

/** Where attributes are read. */
export interface StreamSource {
  /** The whole value of an attribute, as a view that the next call may overwrite; undefined when there is none. */
  value(xattr: string): Buffer | undefined
}

/** What a file's sidecar holds of it. */
export interface SidecarFacts {
  readonly finderInfo: Buffer | undefined
  /** 0: none. */
  readonly resourceForkBytes: number
  readonly hasAttributes: boolean
}

/**
 * @param xattrs names of all attributes of the file
 * @returns undefined when it has no streams
 */
export function macMetadataOf(
  xattrs: readonly string[],
  source: StreamSource,
  sidecar?: SidecarFacts,
): MacMetadata | undefined {
  let hasOthers = sidecar?.hasAttributes === true
  const found = new Map<AppleStream, string>()
  for (const xattr of xattrs) {
    const stream = streamOfXattr(xattr)
    if (stream === undefined) continue
    const apple = appleStreamOf(stream)
    if (apple === undefined) hasOthers = true
    else found.set(apple, xattr)
  }
  const resourceForkBytes =
    forkBytesIn(found.get('resource-fork'), source) ||
    netatalkForkBytes(xattrs, source) ||
    (sidecar?.resourceForkBytes ?? 0)
  const finderInfo =
    finderInfoIn(found.get('afp-info'), source) ??
    netatalkFinderInfo(xattrs, source) ??
    notEmpty(sidecar?.finderInfo)
  if (finderInfo !== undefined) return { resourceForkBytes, finderInfo: new Uint8Array(finderInfo) }
  return hasOthers || resourceForkBytes > 0 ? { resourceForkBytes } : undefined
}

function finderInfoIn(xattr: string | undefined, source: StreamSource): Buffer | undefined {
  const value = xattr === undefined ? undefined : source.value(xattr)
  return value === undefined ? undefined : presentFinderInfo(decodeStream(value))
}

function netatalkFinderInfo(xattrs: readonly string[], source: StreamSource): Buffer | undefined {
  if (!xattrs.includes(NETATALK_METADATA_XATTR)) return undefined
  const value = source.value(NETATALK_METADATA_XATTR)
  return notEmpty(value === undefined ? undefined : decodeNetatalkMetadata(value)?.finderInfo)
}

function notEmpty(finderInfo: Buffer | undefined): Buffer | undefined {
  return finderInfo === undefined || isEmptyFinderInfo(finderInfo) ? undefined : finderInfo
}

function forkBytesIn(xattr: string | undefined, source: StreamSource): number {
  return xattr === undefined ? 0 : storedStreamSize(xattr, source)
}

function netatalkForkBytes(xattrs: readonly string[], source: StreamSource): number {
  return xattrs.includes(NETATALK_RESOURCE_XATTR) ? (source.value(NETATALK_RESOURCE_XATTR)?.length ?? 0) : 0
}

/** Bytes of a stream in attributes, with those that continue it; one that is missing ends it. */
export function storedStreamSize(xattr: string, source: StreamSource): number {
  const value = source.value(xattr)
  if (value === undefined) return 0
  let size = streamSize(value.length)
  const more = continuations(value)
  for (let index = 1; index <= more; index++) {
    const bytes = source.value(xattrOfContinuation(xattr, index))?.length
    if (bytes === undefined) break
    size += bytes
  }
  return size
}
