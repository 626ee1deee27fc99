/** MS-FSA 2.1.5.4, 2.1.5.15.2: the times that an open file is shown with, where they are not those that storage has. */

import type { FileStat, Nanoseconds } from '../file-system.ts'

/** Times that operations on an open leave alone: MS-FSA 2.1.1.6 UserSetModificationTime, UserSetChangeTime, UserSetAccessTime. */
export const UserSetTime = { write: 0x1, change: 0x2, access: 0x4 } as const

/** Values for the bits of UserSetTime. */
export interface SetTimes {
  readonly writeTime?: Nanoseconds
  readonly changeTime?: Nanoseconds
  readonly accessTime?: Nanoseconds
}

/** A file's first WRITE is seen by others so much later, milliseconds: what Windows and Samba's clients are used to. */
const FIRST_WRITE_DELAY = 2000
/** Later ones: while a file is written for hours its write time still moves. */
const LATER_WRITE_DELAY = 10_000

const BITS = [
  ['writeTime', UserSetTime.write],
  ['changeTime', UserSetTime.change],
  ['accessTime', UserSetTime.access],
] as const

/** Of one open file, shared by all its opens. WRITE costs no system call here, and storage is told only what must outlive the opens. */
export class FileTimes {
  readonly #active: Set<FileTimes>
  /** The write time that is shown until then; the file has been written since. */
  #delayed: { readonly writeTime: Nanoseconds; readonly until: number } | undefined
  #delay = FIRST_WRITE_DELAY
  /** What was last shown, unless the file was written since. */
  #known: Nanoseconds | undefined
  #userSet: SetTimes = {}
  /** Storage may have other times than `#userSet`. */
  #isDirty = false

  /** @param active holds those through which a stat must go, to be shown */
  constructor(active: Set<FileTimes>) {
    this.#active = active
  }

  /**
   * The file is being written.
   * @param userSet bits of UserSetTime of the open that writes
   * @param now milliseconds
   */
  wrote(userSet: number, now: number): void {
    if (userSet !== 0) this.#isDirty = true
    if ((userSet & UserSetTime.write) === 0) {
      this.#forget(UserSetTime.write)
      this.#delayWrite(now)
    }
    if ((userSet & UserSetTime.change) === 0) this.#forget(UserSetTime.change)
  }

  /** Something else of the file was changed than its data. */
  changed(userSet: number): void {
    if ((userSet & UserSetTime.change) === 0) this.#forget(UserSetTime.change)
    else this.#isDirty = true
  }

  /** FLUSH, a new end of file, FileBasicInformation: the write time that storage has is shown from now on. */
  settle(): void {
    this.#delayed = undefined
    this.#known = undefined
    this.#update()
  }

  /**
   * An open through which was written ends.
   * @param userSet its bits of UserSetTime
   * @returns true when the write time is to be that of now: a file that was written again after its write time had
   * moved takes that of the CLOSE, which clients measure
   */
  closed(userSet: number, now: number): boolean {
    const delayed = this.#delayed
    this.settle()
    if (delayed === undefined || this.#delay === FIRST_WRITE_DELAY || now >= delayed.until) return false
    return (userSet & UserSetTime.write) === 0 && this.#userSet.writeTime === undefined
  }

  /** A client has set, or frozen, times; they are shown until an open that has not done so changes the file. */
  set(times: SetTimes): void {
    this.#userSet = { ...this.#userSet, ...times }
    this.#update()
  }

  /**
   * An open ends, or lets go of times it has set or frozen.
   * @param userSet its bits of UserSetTime
   * @returns what storage must be told for them to last
   */
  release(userSet: number): SetTimes {
    const kept = this.#isDirty ? this.#userSet : {}
    const times = Object.fromEntries(
      BITS.flatMap(([name, bit]) =>
        (userSet & bit) !== 0 && kept[name] !== undefined ? [[name, kept[name]]] : [],
      ),
    )
    this.#forget(userSet)
    return times
  }

  /** What clients see of a stat. @param now milliseconds */
  shown(stat: FileStat, now: number): FileStat {
    if (this.#delayed !== undefined && now >= this.#delayed.until) {
      this.#delayed = undefined
      this.#delay = LATER_WRITE_DELAY
      this.#update()
    }
    if (this.#delayed === undefined) this.#known = this.#userSet.writeTime ?? stat.writeTime
    if (!this.#active.has(this)) return stat
    const writeTime = this.#delayed?.writeTime ?? stat.writeTime
    return { ...stat, writeTime, ...this.#userSet }
  }

  #delayWrite(now: number): void {
    if (this.#delayed !== undefined && now < this.#delayed.until) return
    // What nobody has seen need not be kept up.
    this.#delayed =
      this.#known === undefined ? undefined : { writeTime: this.#known, until: now + this.#delay }
    this.#known = undefined
    this.#update()
  }

  #forget(bits: number): void {
    if (Object.keys(this.#userSet).length === 0) return
    this.#userSet = Object.fromEntries(
      BITS.flatMap(([name, bit]) => {
        const time = this.#userSet[name]
        return (bits & bit) === 0 && time !== undefined ? [[name, time]] : []
      }),
    )
    this.#update()
  }

  #update(): void {
    const isSet = Object.keys(this.#userSet).length > 0
    if (!isSet) this.#isDirty = false
    if (isSet || this.#delayed !== undefined) this.#active.add(this)
    else this.#active.delete(this)
  }
}
