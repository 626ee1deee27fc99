/** MS-FSA 2.1.1.1 Volume.TunnelCacheList: a name made soon after one was removed gets the long form that went with it. */

/** How long NTFS remembers by default. */
const MEMORY_MILLISECONDS = 15_000
/** Names remembered; the oldest go first. */
const MAXIMUM_NAMES = 1024

interface Remembered {
  readonly longName: string
  readonly until: number
}

/**
 * Programs that know 8.3 names only save by writing anew under the short name; without this the
 * file would lose its long one (MS-FSA 2.1.5.1.1, the creation of a new file).
 */
export class TunnelCache {
  readonly #byShortName = new Map<string, Remembered>()

  /**
   * An entry was removed or renamed away.
   * @param directory identifies the directory, such as its path below a share's root
   * @param now milliseconds
   */
  remember(directory: string, shortName: string, longName: string, now: number): void {
    const key = keyOf(directory, shortName)
    // Taken out and put back, so that the map stays in order of age.
    this.#byShortName.delete(key)
    this.#byShortName.set(key, { longName, until: now + MEMORY_MILLISECONDS })
    if (this.#byShortName.size <= MAXIMUM_NAMES) return
    const [oldest] = this.#byShortName.keys()
    if (oldest !== undefined) this.#byShortName.delete(oldest)
  }

  /** The long name that a new entry of this short name gets, when there is one. */
  longNameOf(directory: string, shortName: string, now: number): string | undefined {
    const remembered = this.#byShortName.get(keyOf(directory, shortName))
    return remembered !== undefined && remembered.until >= now ? remembered.longName : undefined
  }
}

function keyOf(directory: string, shortName: string): string {
  return `${directory}/${shortName.toUpperCase()}`
}
