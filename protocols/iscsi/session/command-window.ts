/** RFC 7143 4.2.2.1: which CmdSN may come, which comes next, and what waits for one that has not come yet. */

import { isBefore, next } from '../pdu/sequence.ts'

/** Commands that a session may have under way. */
export const WINDOW_COMMANDS = 64

/** What waits for its turn. */
interface Held {
  /** The connection that it came by. */
  readonly owner: object
  readonly run: () => void
  readonly drop: () => void
}

export class CommandWindow {
  #expCmdSN: number
  #open = 0
  /** The highest that was ever told: it never goes back. */
  #maxCmdSN: number
  readonly #held = new Map<number, Held>()

  constructor(cmdSN: number) {
    this.#expCmdSN = cmdSN
    this.#maxCmdSN = (cmdSN + WINDOW_COMMANDS - 1) >>> 0
  }

  get expCmdSN(): number {
    return this.#expCmdSN
  }

  /** As many commands may come as have room beside those under way. */
  get maxCmdSN(): number {
    const now = (this.#expCmdSN + WINDOW_COMMANDS - this.#open - 1) >>> 0
    if (isBefore(this.#maxCmdSN, now)) this.#maxCmdSN = now
    return this.#maxCmdSN
  }

  /** A command takes up room until `leave`. */
  enter(): void {
    this.#open++
  }

  leave(): void {
    this.#open--
  }

  /**
   * Runs commands in the order of their numbers, whichever connection they come by, now or when those before have come.
   * @param owner the connection
   * @param drop called instead of `run` when the number is outside the window, was there already, or never gets its turn
   */
  admit(owner: object, cmdSN: number, run: () => void, drop: () => void): void {
    if (!this.#isInside(cmdSN) || this.#held.has(cmdSN)) return drop()
    if (cmdSN !== this.#expCmdSN) {
      this.#held.set(cmdSN, { owner, run, drop })
      return
    }
    this.#expCmdSN = next(this.#expCmdSN)
    run()
    for (;;) {
      const held = this.#held.get(this.#expCmdSN)
      if (held === undefined) return
      this.#held.delete(this.#expCmdSN)
      this.#expCmdSN = next(this.#expCmdSN)
      held.run()
    }
  }

  #isInside(cmdSN: number): boolean {
    return !isBefore(cmdSN, this.#expCmdSN) && !isBefore(this.maxCmdSN, cmdSN)
  }

  /**
   * 11.5.5: a command that is to be aborted "MUST" be considered received when it has not had its turn: it may be under way on
   * another connection.
   * @param before CmdSN of the function that aborts it
   * @returns false when it has had its turn, or could not come before the function
   */
  skip(cmdSN: number, before: number): boolean {
    if (!this.#isInside(cmdSN) || !isBefore(cmdSN, before)) return false
    this.#held.get(cmdSN)?.drop()
    this.#held.delete(cmdSN)
    this.admit(this, cmdSN, nothing, nothing)
    return true
  }

  /** What came by a connection that is gone, and has not had its turn, can be sent once more. */
  forget(owner: object): void {
    for (const [cmdSN, held] of this.#held) {
      if (held.owner !== owner) continue
      this.#held.delete(cmdSN)
      held.drop()
    }
  }

  close(): void {
    for (const { drop } of this.#held.values()) drop()
    this.#held.clear()
  }
}

function nothing(): void {}
