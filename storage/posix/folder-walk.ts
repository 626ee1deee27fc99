/** Goes down watched trees in the background, some folders at a time, so that other jobs of the worker come in between. */

import type { FolderToWatch, WatchedEntries } from './inotify.ts'
import type { WatchedFolder } from './watched-folder.ts'

/** Folders of one job. */
const FOLDERS_PER_JOB = 32

/** A folder to be watched. */
export interface Step {
  readonly parent: WatchedFolder
  readonly name: string
  /** It was made a moment ago: what is in it already has not been told. */
  readonly isNew: boolean
  /** Goes below even where the folder is watched already: events were lost. */
  readonly again: boolean
}

export interface WalkHost {
  /** Folders that may still be watched in this tree. */
  room(tree: WatchedFolder): number
  /** Does a job; undefined when that is not possible any more. */
  watchFolders(
    root: number,
    folders: readonly FolderToWatch[],
  ): Promise<readonly WatchedEntries[] | undefined>
  /** A folder is watched now. Returns it if what is below is to be watched too. */
  arrived(step: Step, watched: WatchedEntries): WatchedFolder | undefined
  /** Not all folders can be watched. */
  incomplete(tree: WatchedFolder): void
  /** Runs a piece of work while nothing else adds or removes watches. */
  alone<T>(work: () => Promise<T>): Promise<T>
}

export class FolderWalk {
  readonly #host: WalkHost
  #steps: Step[] = []
  #isWalking = false

  constructor(host: WalkHost) {
    this.#host = host
  }

  add(step: Step): void {
    this.#steps.push(step)
    if (this.#isWalking) return
    this.#isWalking = true
    void this.#walk()
  }

  /** Forgets what is to be done. */
  clear(): void {
    this.#steps = []
  }

  async #walk(): Promise<void> {
    try {
      while (this.#steps.length > 0) await this.#host.alone(() => this.#page())
    } finally {
      this.#isWalking = false
    }
  }

  /** The next folders of one tree; the last found come first, so that little has to be remembered. */
  async #page(): Promise<void> {
    const last = this.#steps.at(-1)
    if (last === undefined) return
    const tree = last.parent.tree
    if (tree?.root === undefined) {
      // Nobody listens there any more.
      this.#steps.pop()
      return
    }
    const room = this.#host.room(tree)
    if (room <= 0) {
      this.#steps = this.#steps.filter(({ parent }) => parent.tree !== tree)
      this.#host.incomplete(tree)
      return
    }
    const steps: Step[] = []
    while (steps.length < Math.min(FOLDERS_PER_JOB, room)) {
      const step = this.#steps.at(-1)
      if (step === undefined || step.parent.tree !== tree) break
      steps.push(step)
      this.#steps.pop()
    }
    const folders = steps.map(({ parent, name, isNew }) => ({
      path: name === '' ? '' : parent.pathFrom(tree, name),
      all: isNew,
    }))
    const replies = await this.#host.watchFolders(tree.root, folders)
    if (replies === undefined) {
      this.#host.incomplete(tree)
      return
    }
    for (const [at, step] of steps.entries()) this.#take(step, replies[at], tree)
  }

  #take(step: Step, watched: WatchedEntries | undefined, tree: WatchedFolder): void {
    if (watched === undefined) return
    if (watched.incomplete) this.#host.incomplete(tree)
    const folder = watched.watch < 0 ? undefined : this.#host.arrived(step, watched)
    if (folder === undefined) return
    const { isNew, again } = step
    for (const name of watched.folders) this.#steps.push({ parent: folder, name, isNew, again })
  }
}
