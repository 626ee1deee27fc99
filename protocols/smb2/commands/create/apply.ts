/** MS-SMB2 3.3.5.9.1, 3.3.5.9.3: what create contexts and options give a file that was just made. */

import type { FileStat } from '../../../../storage/file-system.ts'
import { CreateAction, CreateOption } from '../../fscc/create-options.ts'
import type { CreateRequest } from '../../messages/create.ts'
import type { RequestedContexts } from './contexts.ts'
import type { OpenedFile } from './open-file.ts'

/** Applies ExtA, AlSi and FILE_NO_COMPRESSION. @returns the attributes afterwards */
export async function applyToNewFile(
  { handle, stat, createAction }: OpenedFile,
  request: CreateRequest,
  contexts: RequestedContexts,
  hasCompression: boolean,
): Promise<FileStat> {
  if (createAction === CreateAction.OPENED) return stat
  const { extendedAttributes, allocationSize } = contexts
  const noCompression = (request.createOptions & CreateOption.NO_COMPRESSION) !== 0
  let changed = false
  if (extendedAttributes.length > 0) {
    await handle.setExtendedAttributes(extendedAttributes)
    changed = true
  }
  if (allocationSize !== undefined && allocationSize > 0 && stat.type === 'file') {
    await handle.setAllocation(allocationSize)
    changed = true
  }
  if (noCompression && hasCompression && (await handle.compressed())) {
    await handle.setCompressed(false)
    changed = true
  }
  return changed ? handle.stat() : stat
}
