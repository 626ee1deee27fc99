/** Shares in tables, for the command line and the page. */

import { formatSize } from '../config/sizes.ts'
import type { ShareSpace } from './metrics.ts'

export const SHARE_COLUMNS = ['Name', 'Folder', 'Used', 'Limit', 'Available', 'Size']

/** The cells of one volume; '' what nobody knows, or where there is no limit. */
export function shareRow({ name, user, path, ...space }: ShareSpace): string[] {
  const size = (bytes: number | undefined): string => (bytes === undefined ? '' : formatSize(bytes))
  return [
    user === undefined ? name : `${name} (${user})`,
    path,
    ...[space.usedBytes, space.limitBytes, space.availableBytes, space.totalBytes].map(size),
  ]
}
