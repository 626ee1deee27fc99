/** What is wrong with the size limits of shares, before users see it. */

import { statfs } from 'node:fs/promises'
import { formatSize } from '../config/sizes.ts'
import type { ShareConfiguration } from '../config/types.ts'

export interface LimitFinding {
  readonly severity: 'warning' | 'note'
  readonly message: string
}

type ServedShare = ShareConfiguration & { readonly path: string }

/**
 * @param others the shares that are served
 * @param users how many accounts may use the share
 */
export async function limitFindings(
  share: ServedShare,
  others: readonly ServedShare[],
  users: number,
): Promise<LimitFinding[]> {
  const findings: LimitFinding[] = []
  const add = (severity: LimitFinding['severity'], message: string) => findings.push({ severity, message })
  const { maxSize, path, perUser } = share
  if (perUser && share.guestOk) add('warning', 'per_user: guests have no folder of their own and are refused')
  if (maxSize === undefined) {
    if (share.timeMachine)
      add(
        'note',
        'no max_size: each Mac sees the whole pool as its disk, and fills it before it removes old backups',
      )
    return findings
  }
  const total = await totalBytes(path)
  const each = perUser ? ' for each user' : ''
  if (total !== undefined && maxSize > total) {
    const sizes = `max_size is ${formatSize(maxSize)}${each}, and the file system of ${path} has ${formatSize(total)}`
    add('warning', `${sizes}: it is full before the limit is reached; lower max_size`)
  } else if (total !== undefined && perUser && maxSize * users > total) {
    const sizes = `${users} users may take ${formatSize(maxSize)} each, and ${path} has ${formatSize(total)}`
    add('note', `${sizes}: Macs may say "not enough space" below their max_size`)
  }
  const other = others.find((one) => one.path === path && one.name !== share.name && one.maxSize !== maxSize)
  if (other !== undefined) {
    const which = 'their folder is one volume, and the smallest max_size counts'
    add('warning', `share "${other.name}" serves ${path} with another max_size; ${which}`)
  }
  return findings
}

async function totalBytes(path: string): Promise<number | undefined> {
  try {
    const { blocks, bsize } = await statfs(path)
    return blocks * bsize
  } catch {
    return undefined
  }
}
