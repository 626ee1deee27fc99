/** MS-SMB2 3.3.5.9: the oplock that a CREATE asks for, granted once all else is done. */

import type { FileStat } from '../../../../storage/file-system.ts'
import type { CommandContext } from '../../context.ts'
import { type CreateRequest, OplockLevel } from '../../messages/create.ts'
import type { Open } from '../../state/open.ts'

/**
 * @param changeMark since then `stat` may have become old: a client that may keep it gets it anew
 * @returns Open.OplockLevel, and what to answer about the file
 */
export async function grantOplock(
  context: CommandContext,
  open: Open,
  { requestedOplockLevel }: CreateRequest,
  changeMark: number,
  stat: FileStat,
): Promise<{ readonly oplockLevel: number; readonly stat: FileStat }> {
  const { oplocks } = context.server
  const oplockLevel = oplocks.grant(open, requestedOplockLevel)
  if (oplockLevel === OplockLevel.NONE) return { oplockLevel, stat }
  context.onSent = () => oplocks.announced(open)
  const isOld = oplocks.changedSince(open, changeMark)
  return { oplockLevel, stat: isOld ? await open.file.handle.stat() : stat }
}
