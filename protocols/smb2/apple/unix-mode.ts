/** st_mode with its type, as Macs read it in listings (MS-FSCC 2.4.17 with READ_DIR_ATTR) and in ACEs. */

import type { FileStat, FileType } from '../../../storage/file-system.ts'

/** S_IFMT of st_mode. */
const TYPE_BITS: Readonly<Partial<Record<FileType, number>>> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
}

export function unixModeOf({ type, mode }: Pick<FileStat, 'type' | 'mode'>): number {
  return (TYPE_BITS[type] ?? 0) | mode
}
