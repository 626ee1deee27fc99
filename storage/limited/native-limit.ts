/** The seam to file systems that keep a limit themselves (project quotas of XFS and ext4, refquota of ZFS): asked, not counted. */

import type { FileSystem, SpaceInfo } from '../file-system.ts'

export interface NativeLimit {
  /**
   * The space of the tree as the file system limits it.
   * @param wanted bytes that the tree may take at most
   * @returns undefined where the file system would let it take more: then we count ourselves
   */
  space(wanted: number): Promise<SpaceInfo | undefined>
}

/**
 * What statfs says of the tree's root: under a project quota, and of a ZFS data set with a quota, that is the limit. A whole
 * file system that is smaller than the limit needs no counting either.
 */
export function limitByStatfs(fileSystem: FileSystem): NativeLimit {
  return {
    async space(wanted) {
      const space = await fileSystem.space()
      return space.total > 0 && space.total <= wanted ? space : undefined
    },
  }
}
