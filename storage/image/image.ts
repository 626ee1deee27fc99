/** Disks on sparse files, block devices and zvols, alone or end to end. */

import type { BlockDevice } from '../block-device.ts'
import type { BackingOptions } from './backing.ts'
import { concatenate } from './concatenated.ts'
import { openBacking } from './open-backing.ts'

export interface ImageOptions {
  readonly extents: readonly BackingOptions[]
}

/** Locks and opens the backing; a missing file is made at its size. @throws StorageError in words for the owner */
export async function openImage(options: ImageOptions): Promise<BlockDevice> {
  const parts: BlockDevice[] = []
  try {
    for (const extent of options.extents) parts.push(await openBacking(extent))
    return concatenate(parts)
  } catch (error) {
    await Promise.allSettled(parts.map((part) => part.close()))
    throw error
  }
}
