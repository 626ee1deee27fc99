/** MS-FSA 2.1.5.15.6, 2.1.5.15.11: what the place of a new name demands: rights in the directory, and to what it replaces. */

import type { OpenOutcome } from '../../../storage/file-system.ts'
import type { CommandContext } from '../context.ts'
import { DirectoryAccess, FileAccess } from '../fscc/access.ts'
import { FileAttribute } from '../fscc/attributes.ts'
import { decodeSecurityDescriptor } from '../fscc/security-descriptor.ts'
import type { Open } from '../state/open.ts'
import { type NtStatus, Status } from '../status.ts'
import { allowedAccess, maximalAccess, tokenOf } from './access-check.ts'
import { lookUp } from './look-up.ts'

type Found = Extract<OpenOutcome, { ok: true }>

/**
 * What modes decide the kernel does when the name is set; this is about stored descriptors and attributes.
 * @param target '/'-separated
 */
export async function refuseTarget(
  { server, treeConnect: { maximalAccess: shareAccess } }: CommandContext,
  open: Open,
  target: string,
  replace: boolean,
): Promise<NtStatus | undefined> {
  const folderPath = target.slice(0, Math.max(0, target.lastIndexOf('/')))
  const [folder, replaced] = await Promise.all([
    lookUp(open, folderPath, true),
    replace ? lookUp(open, target, true) : undefined,
  ])
  await Promise.all([folder?.handle.close(), replaced?.handle.close()])
  const token = () => tokenOf(server, open.admission)
  const adding = open.isDirectory ? DirectoryAccess.ADD_SUBDIRECTORY : DirectoryAccess.ADD_FILE
  if (folder?.securityDescriptor !== undefined) {
    const rights = maximalAccess(decodeSecurityDescriptor(folder.securityDescriptor), token())
    if ((rights & adding) === 0) return Status.ACCESS_DENIED
  }
  if (replaced === undefined || isFileOf(open, replaced)) return undefined
  if ((replaced.stat.dosAttributes & FileAttribute.READONLY) !== 0) return Status.ACCESS_DENIED
  const { permissions, securityDescriptor, parentDescriptor } = replaced
  if (permissions === undefined) throw new Error('storage was asked for permissions')
  const facts = { permissions, securityDescriptor, parentDescriptor }
  const allowed = allowedAccess(facts, token, shareAccess)
  return (allowed & FileAccess.DELETE) === 0 ? Status.ACCESS_DENIED : undefined
}

/** Another case of its own name, or another name of the same file. */
function isFileOf(open: Open, { stat }: Found): boolean {
  const { node } = open.file.node
  return stat.fileId === node.fileId && stat.volumeId === node.volumeId
}
