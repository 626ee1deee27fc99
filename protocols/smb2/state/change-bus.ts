/** MS-FSA 2.1.1.1 ChangeNotifyList: who watches which directory, and what has changed below it since they last asked. */

/** Changes kept for one watch between two requests; more are STATUS_NOTIFY_ENUM_DIR. */
const MAXIMUM_KEPT_CHANGES = 512

export interface Change {
  /** NotifyAction */
  readonly action: number
  /** Relative to the watched directory, '/'-separated. */
  readonly name: string
}

/** An open's interest in a directory: from its first CHANGE_NOTIFY until it closes. */
export class Watch {
  readonly root: object
  readonly #pathOf: () => string
  readonly #filter: number
  readonly #recursive: boolean
  #changes: Change[] = []
  #overflown = false
  #waiting: (() => void) | undefined

  /** @param pathOf the watched directory as it is named now */
  constructor(root: object, pathOf: () => string, filter: number, recursive: boolean) {
    this.root = root
    this.#pathOf = pathOf
    this.#filter = filter
    this.#recursive = recursive
  }

  /** Calls back once, as soon as there is something to take; a later call replaces an earlier one. */
  whenChanged(notify: () => void): void {
    this.#waiting = notify
    if (this.#changes.length > 0 || this.#overflown) this.#wake()
  }

  stopWaiting(): void {
    this.#waiting = undefined
  }

  /** What has changed; undefined when it was too much to keep. */
  take(): readonly Change[] | undefined {
    const changes = this.#overflown ? undefined : this.#changes
    this.#changes = []
    this.#overflown = false
    return changes
  }

  /** Keeps a change when it is of interest. */
  offer(path: string, action: number, filter: number): void {
    if ((filter & this.#filter) === 0) return
    const name = this.#relative(path)
    if (name === undefined) return
    if (this.#changes.length < MAXIMUM_KEPT_CHANGES) this.#changes.push({ action, name })
    else this.#overflown = true
    this.#wake()
  }

  #relative(path: string): string | undefined {
    const directory = this.#pathOf()
    const prefix = directory === '' ? '' : `${directory}/`
    if (path === '' || path === directory || !path.startsWith(prefix)) return undefined
    const name = path.slice(prefix.length)
    return !this.#recursive && name.includes('/') ? undefined : name
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.()
  }
}

/** Brings changes that were made through this server to those who watch. */
export class ChangeBus {
  readonly #watches = new Set<Watch>()

  add(watch: Watch): void {
    this.#watches.add(watch)
  }

  remove(watch: Watch): void {
    this.#watches.delete(watch)
  }

  /**
   * @param root the share's tree
   * @param path what changed, '/'-separated
   * @param filter bits of NotifyFilter that the change is of
   */
  publish(root: object, path: string, action: number, filter: number): void {
    for (const watch of this.#watches) if (watch.root === root) watch.offer(path, action, filter)
  }
}
