/** Why a Mac would refuse a share for its backups, in the words in which the Mac says so. */

import { statfs } from 'node:fs/promises'
import { formatSize } from '../config/sizes.ts'
import type { ShareConfiguration, SmbConfiguration } from '../config/types.ts'
import type { ProbeFault, ProbeName } from './share-probe.ts'

/** A first backup holds most of what is on the Mac: none fits into less than this. */
const BACKUP_BYTES_MINIMUM = 32 * 1024 ** 3
const BEFORE_SMB3 = ['2.0.2', '2.1']
const CAPABILITIES = 'Macs say that it "does not support the required capabilities" (error 45)'

/** What the configuration alone rules out. */
export function timeMachineFaults(share: ShareConfiguration, smb: SmbConfiguration): string[] {
  const faults: string[] = []
  if (BEFORE_SMB3.includes(smb.maxProtocol)) {
    faults.push(
      `${CAPABILITIES}: durable handles need SMB 3; set smb.max_protocol = "3.1.1" (it is "${smb.maxProtocol}")`,
    )
  }
  if (share.readOnly) {
    faults.push(
      `${CAPABILITIES}: it makes and deletes a file in the share's root first; set read_only = false`,
    )
  }
  return faults
}

/** Whether a first backup could fit. @returns what to say, undefined when it could, or nothing can be told */
export async function backupSpaceFault(path: string): Promise<string | undefined> {
  try {
    const { bavail, bsize } = await statfs(path)
    const free = bavail * bsize
    if (free >= BACKUP_BYTES_MINIMUM) return undefined
    return `${path} has ${formatSize(free)} left: Macs say "not enough space" or stop with error 56; make room`
  } catch {
    return undefined
  }
}

const CONSEQUENCES: Partial<Record<ProbeName, string>> = {
  enter: CAPABILITIES,
  create: CAPABILITIES,
  delete: CAPABILITIES,
  xattr: 'Macs say that the "disk image could not be created"',
  fsync: CAPABILITIES,
}

/** What a Mac says where a probe failed; '' where it would not mind. */
export function macConsequence(fault: ProbeFault): string {
  const said = CONSEQUENCES[fault.probe]
  return said === undefined ? '' : `; ${said}`
}
