/** The jobs that workers do: each is synchronous and one trip. */

import * as attributes from './attributes.ts'
import * as data from './data.ts'
import * as eas from './eas.ts'
import * as entries from './entries.ts'
import * as inotify from './inotify.ts'
import * as listing from './listing.ts'
import { addOccupied } from './occupied.ts'
import { open } from './open.ts'
import { openRoot } from './probe.ts'
import { addShare, indexes, removeShare, shareOf } from './share.ts'
import { spaceOf } from './statfs.ts'
import * as streams from './streams.ts'

export const operations = {
  openRoot,
  addShare,
  removeShare,
  space: (share: number) => spaceOf(shareOf(share).root),
  addOccupied,
  open,
  stat: attributes.stat,
  change: attributes.change,
  overwrite: attributes.overwrite,
  readSecurityDescriptor: attributes.readSecurityDescriptor,
  writeSecurityDescriptor: attributes.writeSecurityDescriptor,
  setSize: data.setSize,
  setAllocation: data.setAllocation,
  punchHole: data.punchHole,
  allocatedRanges: data.allocatedRanges,
  copy: data.copy,
  clone: data.clone,
  flush: data.flush,
  isCompressed: data.isCompressed,
  setCompressed: data.setCompressed,
  readStream: streams.readStream,
  writeStream: streams.writeStream,
  setSizeOfStream: streams.setSizeOfStream,
  removeStream: streams.removeStream,
  renameStream: streams.renameStream,
  listStreams: streams.listStreams,
  listEas: eas.listEas,
  setEas: eas.setEas,
  flushEntry: entries.flushEntry,
  remove: entries.remove,
  rename: entries.rename,
  link: entries.link,
  readLink: entries.readLink,
  makeLink: entries.makeLink,
  currentPath: entries.currentPath,
  currentName: entries.currentName,
  beginListing: listing.beginListing,
  nextPage: listing.nextPage,
  endListing: listing.endListing,
  beginInotify: inotify.beginInotify,
  watchDirectory: inotify.watchDirectory,
  beginTree: inotify.beginTree,
  watchFolders: inotify.watchFolders,
  unwatchDirectories: inotify.unwatchDirectories,
  /** Directories this worker has read from beginning to end for its index; for tests. */
  scans: () => indexes.scans,
} as const

export type Operations = typeof operations
export type { Share } from './share-type.ts'
