/** AFP_AfpInfo of a file, in whichever format it is: streams_xattr's, netatalk's, a sidecar's. What is new goes where the share wants it. */

import { emptyAfpInfo, encodeAfpInfo, FINDER_INFO_BYTES, isEmptyFinderInfo } from '../metadata/afp-info.ts'
import { APPLE_STREAM_NAMES, presentFinderInfo } from '../metadata/apple-streams.ts'
import { xattrOfStream } from '../metadata/dos-stream.ts'
import {
  decodeNetatalkMetadata,
  encodeNetatalkMetadata,
  NETATALK_METADATA_XATTR,
  withFinderInfo,
} from '../metadata/netatalk.ts'
import { asServer } from './identity.ts'
import type { NodeReference } from './jobs.ts'
import { placeOf, readRecord } from './metadata.ts'
import { shareOf } from './share.ts'
import { finderInfoOf, removeIfSpent, writeAt } from './sidecar-file.ts'
import { withSidecar } from './sidecar-of.ts'
import { birthTimeOf } from './stat-record.ts'
import {
  findStream,
  readStreamValue,
  removeStreamValue,
  writeLimited,
  writeStreamValue,
} from './stream-values.ts'
import { readXattr, removeXattr } from './xattr.ts'

const NAME = APPLE_STREAM_NAMES['afp-info']
const NO_FINDER_INFO = Buffer.alloc(FINDER_INFO_BYTES)

type Stored =
  | { readonly format: 'stream'; readonly xattr: string; readonly afpInfo: Buffer }
  | { readonly format: 'netatalk' | 'sidecar'; readonly afpInfo: Buffer }

function find(node: NodeReference): Stored | undefined {
  const xattr = findStream(node, NAME)
  const afpInfo = xattr === undefined ? undefined : readStreamValue(node, xattr)
  if (xattr !== undefined && afpInfo !== undefined && presentFinderInfo(afpInfo) !== undefined) {
    return { format: 'stream', xattr, afpInfo }
  }
  const netatalk = netatalkFinderInfo(node)
  if (netatalk !== undefined && !isEmptyFinderInfo(netatalk)) {
    return { format: 'netatalk', afpInfo: encodeAfpInfo(netatalk) }
  }
  const sidecar = withSidecar(node, 'read', (opened) => {
    const finderInfo = finderInfoOf(opened)
    return finderInfo === undefined ? undefined : encodeAfpInfo(finderInfo)
  })
  return sidecar === undefined ? undefined : { format: 'sidecar', afpInfo: sidecar }
}

function netatalkValue(node: NodeReference): Buffer | undefined {
  return asServer(() => readXattr(placeOf(node), NETATALK_METADATA_XATTR))
}

function netatalkFinderInfo(node: NodeReference): Buffer | undefined {
  const value = netatalkValue(node)
  return value === undefined ? undefined : decodeNetatalkMetadata(value)?.finderInfo
}

/** The stream's 60 bytes; undefined when the file has no Finder information. */
export function loadAfpInfo(node: NodeReference): Buffer | undefined {
  return find(node)?.afpInfo
}

/** Stores 60 valid bytes. Finder information that is all zeros is none. */
export function storeAfpInfo(node: NodeReference, afpInfo: Buffer): void {
  const finderInfo = presentFinderInfo(afpInfo)
  if (finderInfo === undefined) {
    removeAfpInfo(node)
    return
  }
  const stored = find(node)
  const format = stored === undefined || stored.format === 'sidecar' ? undefined : stored.format
  if ((format ?? shareOf(node.share).macMetadata) === 'netatalk') {
    storeNetatalk(node, finderInfo)
    return
  }
  const xattr = stored?.format === 'stream' ? stored.xattr : (findStream(node, NAME) ?? xattrOfStream(NAME))
  writeStreamValue(node, xattr, afpInfo)
}

function storeNetatalk(node: NodeReference, finderInfo: Buffer): void {
  const old = netatalkValue(node)
  const changed = old === undefined ? undefined : withFinderInfo(old, finderInfo)
  const value = changed ?? encodeNetatalkMetadata({ finderInfo, birthTime: birthTimeOf(readRecord(node)) })
  asServer(() => writeLimited(node, NETATALK_METADATA_XATTR, value))
}

/** Removes it from wherever it is. */
export function removeAfpInfo(node: NodeReference): void {
  const xattr = findStream(node, NAME)
  if (xattr !== undefined) removeStreamValue(node, xattr)
  clearNetatalk(node)
  if (find(node)?.format !== 'sidecar') return
  withSidecar(node, 'write', (opened, place) => {
    if (opened.sidecar.finderInfo !== undefined) writeAt(opened.fd, opened.sidecar.finderInfo, NO_FINDER_INFO)
    removeIfSpent(place, opened)
  })
}

/** A comment, dates and AFP's attributes stay, where there are any. */
function clearNetatalk(node: NodeReference): void {
  const value = netatalkValue(node)
  if (value === undefined) return
  const birthTime = decodeNetatalkMetadata(value)?.birthTime
  const cleared = withFinderInfo(value, NO_FINDER_INFO)
  const nothing = encodeNetatalkMetadata({
    finderInfo: NO_FINDER_INFO,
    ...(birthTime !== undefined && { birthTime }),
  })
  asServer(() => {
    if (cleared === undefined || cleared.equals(nothing)) removeXattr(placeOf(node), NETATALK_METADATA_XATTR)
    else writeLimited(node, NETATALK_METADATA_XATTR, cleared)
  })
}

/** What a stream that nobody wrote yet gives. */
export function afpInfoOrEmpty(node: NodeReference): Buffer {
  return loadAfpInfo(node) ?? emptyAfpInfo()
}
