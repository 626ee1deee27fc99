/** Looks into a share's folders as the server: links are not followed, and what is there is bounded, as clients made it. */

import type { FileStat, FileSystem, OpenRequest } from '../../storage/file-system.ts'

/** Past this a share's backups are not looked at: each is a computer. */
export const BUNDLES_MAXIMUM = 256
const PAGE_ENTRIES = 256
const NANOSECONDS_PER_MILLISECOND = 1_000_000n

/** An open that changes nothing. */
export const READ: Omit<OpenRequest, 'path' | 'kind'> = {
  identity: undefined,
  disposition: 'open',
  followLinks: false,
  read: true,
  write: false,
  create: { mode: 0, dosAttributes: 0 },
  wantPermissions: false,
}

/** Names of the folders in one, BUNDLES_MAXIMUM at most; none where there is no such folder. */
export async function listFolders(fileSystem: FileSystem, path: string, pattern: string): Promise<string[]> {
  const outcome = await fileSystem.open({ ...READ, path, kind: 'directory' })
  if (!outcome.ok) return []
  try {
    const cursor = await outcome.handle.list({ pattern, hideUnreadable: false })
    const names: string[] = []
    for (;;) {
      const page = await cursor.next(PAGE_ENTRIES)
      const folders = page.filter(({ name, stat }) => stat.type === 'directory' && !isDots(name))
      names.push(...folders.map(({ name }) => name))
      if (page.length === 0 || names.length >= BUNDLES_MAXIMUM) break
    }
    await cursor.close()
    return names.slice(0, BUNDLES_MAXIMUM)
  } finally {
    await outcome.handle.close()
  }
}

function isDots(name: string): boolean {
  return name === '.' || name === '..'
}

/** @returns undefined when there is no such thing of that kind */
export async function statOf(
  fileSystem: FileSystem,
  path: string,
  kind: 'file' | 'directory',
): Promise<FileStat | undefined> {
  const outcome = await fileSystem.open({ ...READ, path, kind, read: false })
  if (!outcome.ok) return undefined
  await outcome.handle.close()
  return outcome.stat
}

/** Of one of a file's times, which are in nanoseconds. */
export function milliseconds(time: bigint): number {
  return Number(time / NANOSECONDS_PER_MILLISECOND)
}
