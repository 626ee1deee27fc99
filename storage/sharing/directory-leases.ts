/** MS-FSA 2.1.4.12 PARENT_OBJECT: finds the caches of a directory whose entries change. */

/** A directory of a share. */
export interface DirectoryPlace {
  /** The tree that `path` is relative to. */
  readonly root: object
  /** '' is the root. */
  readonly path: string
}

/** Caches of directories by place, so that a change costs the same however many are held. */
export class DirectoryCaches<Cache> {
  readonly #byRoot = new Map<object, Map<string, Set<Cache>>>()

  add({ root, path }: DirectoryPlace, cache: Cache): void {
    let byPath = this.#byRoot.get(root)
    if (byPath === undefined) {
      byPath = new Map()
      this.#byRoot.set(root, byPath)
    }
    const caches = byPath.get(path)
    if (caches === undefined) byPath.set(path, new Set([cache]))
    else caches.add(cache)
  }

  delete({ root, path }: DirectoryPlace, cache: Cache): void {
    const byPath = this.#byRoot.get(root)
    const caches = byPath?.get(path)
    if (byPath === undefined || caches === undefined) return
    caches.delete(cache)
    if (caches.size === 0) byPath.delete(path)
    if (byPath.size === 0) this.#byRoot.delete(root)
  }

  /** Those of the directory that an entry is in; undefined: none. */
  ofParent({ root, path }: DirectoryPlace): Iterable<Cache> | undefined {
    const byPath = this.#byRoot.get(root)
    if (byPath === undefined || path === '') return undefined
    return byPath.get(path.slice(0, Math.max(0, path.lastIndexOf('/'))))
  }
}
