/** One computer's backups in the words of `poolhouse status` and the status page. */

import { formatSize } from '../config/sizes.ts'
import type { BackupStatus } from './server-status.ts'

export const BACKUP_COLUMNS = ['Share', 'Computer', 'Kind', 'Last completed', 'Copied', 'In use', 'State']

/** The cells of a table's row, in the order of BACKUP_COLUMNS. */
export function backupRow(backup: BackupStatus): string[] {
  const size = (bytes: number | undefined): string => (bytes === undefined ? '' : formatSize(bytes))
  return [
    backup.share,
    backup.mac,
    backup.kind,
    backup.lastCompleted ?? 'never',
    size(backup.bytesCopied),
    size(backup.bytesUsed),
    backupState(backup),
  ]
}

function backupState({ running, verificationFailed, stale, unreadable }: BackupStatus): string {
  const words = [
    verificationFailed ? 'DAMAGED: the Mac will want to begin anew' : '',
    stale ? 'STALE: no completed backup for too long' : '',
    running ? 'running' : '',
    unreadable.length > 0 ? `cannot be read: ${unreadable.join(', ')}` : '',
  ].filter((word) => word !== '')
  return words.length === 0 ? 'ok' : words.join('; ')
}
