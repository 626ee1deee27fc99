/** MS-FSA 2.1.4.1: tells what clients did through this server from what others did on the disk, which the disk reports alike. */

import { NotifyAction } from '../fscc/notify.ts'

/** How long after it was published a change may still come back from the disk, milliseconds. */
const ECHO_TIME = 2000
/** Entries remembered; past it, those that are over are looked for. */
const MANY_ENTRIES = 1024

const APPEARS = 0x1
const VANISHES = 0x2
const MODIFIES = 0x4

const KINDS: ReadonlyMap<number, number> = new Map<number, number>([
  // What is made, moved or removed is written, and gets attributes, on the way.
  [NotifyAction.ADDED, APPEARS | MODIFIES],
  [NotifyAction.RENAMED_NEW_NAME, APPEARS | MODIFIES],
  [NotifyAction.REMOVED, VANISHES | MODIFIES],
  [NotifyAction.RENAMED_OLD_NAME, VANISHES | MODIFIES],
])

interface Own {
  readonly kinds: number
  readonly until: number
}

/**
 * Of one share's tree. An entry that a client changed a moment ago is taken to be changed by that client: a process
 * that changes the same entry in the same way within ECHO_TIME is not reported on its own.
 */
export class OwnChanges {
  readonly #byPath = new Map<string, Own>()

  /** @param action NotifyAction */
  note(path: string, action: number, now: number): void {
    const earlier = this.#byPath.get(path)
    // Anew, so that the order stays that of time.
    this.#byPath.delete(path)
    const kinds = (earlier !== undefined && earlier.until > now ? earlier.kinds : 0) | kindsOf(action)
    this.#byPath.set(path, { kinds, until: now + ECHO_TIME })
    if (this.#byPath.size > MANY_ENTRIES) this.#forgetOver(now)
  }

  /** Whether a change that the disk reports was made here. */
  includes(path: string, action: number, now: number): boolean {
    const own = this.#byPath.get(path)
    if (own === undefined || own.until <= now) return false
    const kinds = kindsOf(action)
    return (own.kinds & (kinds === MODIFIES ? MODIFIES : kinds & ~MODIFIES)) !== 0
  }

  #forgetOver(now: number): void {
    for (const [path, { until }] of this.#byPath) {
      if (until > now) return
      this.#byPath.delete(path)
    }
  }
}

function kindsOf(action: number): number {
  return KINDS.get(action) ?? MODIFIES
}
