/** The trees of previous versions that are open, of all shares: so many at most, and none for long that nobody uses. */

/** A tree that can be closed, and opens again by itself. */
interface Tree {
  readonly isInUse: boolean
  close(): Promise<void>
}

export interface TreesClock {
  /** Calls `run` once, unless cancelled. */
  after(milliseconds: number, run: () => void): () => void
}

/** Each has a descriptor here; what is looked at side by side in a window of versions is far less. */
const MOST_TREES = 64
/** A mounted snapshot of ZFS that is used cannot be destroyed. */
const IDLE_MILLISECONDS = 30_000

export class OpenTrees {
  readonly #clock: TreesClock
  readonly #most: number
  readonly #failed: (error: unknown) => void
  /** In the order in which they were last left, with what cancels their end. */
  readonly #trees = new Map<Tree, (() => void) | undefined>()

  /** @param failed told why one could not be closed */
  constructor(clock: TreesClock, failed: (error: unknown) => void, most = MOST_TREES) {
    this.#clock = clock
    this.#failed = failed
    this.#most = most
  }

  get count(): number {
    return this.#trees.size
  }

  /** Takes a place, for which one that nobody uses is closed. @returns false when there is none */
  add(tree: Tree): boolean {
    if (this.#trees.size >= this.#most) {
      const idle = [...this.#trees.keys()].find((other) => !other.isInUse)
      if (idle === undefined) return false
      this.#close(idle)
    }
    this.#trees.set(tree, undefined)
    return true
  }

  /** Nobody uses it at the moment. */
  rests(tree: Tree): void {
    if (!this.#trees.has(tree)) return
    this.remove(tree)
    const end = () => {
      if (!tree.isInUse) this.#close(tree)
    }
    this.#trees.set(tree, this.#clock.after(IDLE_MILLISECONDS, end))
  }

  /** It is closed. */
  remove(tree: Tree): void {
    this.#trees.get(tree)?.()
    this.#trees.delete(tree)
  }

  /** Closes those that nobody uses. */
  async closeIdle(): Promise<void> {
    const idle = Array.from(this.#trees.keys()).filter((tree) => !tree.isInUse)
    await Promise.all(idle.map((tree) => tree.close()))
  }

  /** Closes all, in use or not. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#trees.keys(), (tree) => tree.close()))
  }

  #close(tree: Tree): void {
    // It takes itself out at once.
    tree.close().catch((error) => this.#failed(error))
  }
}
