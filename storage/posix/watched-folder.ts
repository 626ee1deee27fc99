/** Directories that inotify(7) watches, as the forest that they are: a change concerns those who watch its directory, and trees above. */

import type { LocalChange } from '../file-system.ts'

/** One who is told; names are relative to the folder where it listens. */
export interface Listening {
  readonly tell: (change: LocalChange) => void
  /** Also of what is below. */
  readonly recursive: boolean
}

export class WatchedFolder {
  /** The kernel's number of the watch. */
  readonly watch: number
  readonly listeners = new Set<Listening>()
  readonly children = new Map<string, WatchedFolder>()
  parent: WatchedFolder | undefined
  /** Within the parent, as on disk. */
  name = ''
  /** Watched folders below, at any depth. */
  below = 0
  /** Descriptor (O_PATH) from which the tree is walked, where someone listens to it. */
  root: number | undefined
  /** Entries told of because the folder was read; the kernel's own news of them is still to come. */
  found: Set<string> | undefined

  constructor(watch: number) {
    this.watch = watch
  }

  /** The nearest folder, from this one upwards, that is watched with all that is below it. */
  get tree(): WatchedFolder | undefined {
    for (const [folder] of this.upwards()) if (folder.root !== undefined) return folder
    return undefined
  }

  /** This folder and those above, each with the prefix that an entry of this one has there: 'a/b/'. */
  *upwards(): Generator<readonly [WatchedFolder, string]> {
    let prefix = ''
    for (let folder: WatchedFolder | undefined = this; folder !== undefined; folder = folder.parent) {
      yield [folder, prefix]
      prefix = `${folder.name}/${prefix}`
    }
  }

  isWithin(other: WatchedFolder): boolean {
    for (const [folder] of this.upwards()) if (folder === other) return true
    return false
  }

  /** Path of an entry from a folder above. */
  pathFrom(top: WatchedFolder, name: string): string {
    for (const [folder, prefix] of this.upwards()) if (folder === top) return prefix + name
    throw new Error('not below')
  }

  /** Puts this folder, with all below, where it is found now. */
  attach(parent: WatchedFolder, name: string): void {
    this.detach()
    parent.children.get(name)?.detach()
    this.parent = parent
    this.name = name
    parent.children.set(name, this)
    this.#count(1 + this.below)
  }

  detach(): void {
    if (this.parent === undefined) return
    this.#count(-1 - this.below)
    this.parent.children.delete(this.name)
    this.parent = undefined
    this.name = ''
  }

  #count(folders: number): void {
    for (let above = this.parent; above !== undefined; above = above.parent) above.below += folders
  }
}
