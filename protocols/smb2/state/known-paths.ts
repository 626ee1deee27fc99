/** Where files that Macs have seen were found last (MS-SMB2 2.2.13.2 AAPL, RESOLVE_ID): storage finds paths, not file ids. */

import type { FileSystem } from '../../../storage/file-system.ts'

/** Of each tree; those that were not met for the longest time are forgotten. */
const MOST_PATHS = 65_536

export class KnownPaths {
  readonly #trees = new WeakMap<FileSystem, Map<bigint, string>>()

  /** @param path from the tree's root, with '/' */
  note(tree: FileSystem, fileId: bigint, path: string): void {
    let paths = this.#trees.get(tree)
    if (paths === undefined) {
      paths = new Map()
      this.#trees.set(tree, paths)
    }
    // The last ones stand at the end.
    paths.delete(fileId)
    paths.set(fileId, path)
    if (paths.size <= MOST_PATHS) return
    for (const oldest of paths.keys()) {
      paths.delete(oldest)
      break
    }
  }

  /** Where it was; it may be elsewhere by now. */
  of(tree: FileSystem, fileId: bigint): string | undefined {
    return this.#trees.get(tree)?.get(fileId)
  }
}
