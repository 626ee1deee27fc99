/** Failures as they pass by in the output of many steps, told once more in the end, where a long run is looked at first. */

/** How much of what follows a failure is kept: the message, seldom more. */
const MAX_DETAIL_LINES = 8
/** A run with more than so many is broken as a whole; the rest is in its output. */
const MAX_FAILURES = 50

/** `FAIL name`, perhaps after the name of the suite. */
const failureLine = /^(?:[a-z-]+: +)?FAIL /
/** `     | text`: belongs to the check above it. */
const detailLine = /^(?:[a-z-]+: +)? {4,}\| /

export class Failures {
  readonly #found: string[][] = []

  /** Reads along with one step's output, whose lines are not mixed with another's. @returns what takes its lines */
  reader(): (line: string) => void {
    let current: string[] | undefined
    return (line) => {
      if (failureLine.test(line)) {
        current = [line]
        if (this.#found.length < MAX_FAILURES) this.#found.push(current)
      } else if (!detailLine.test(line)) {
        current = undefined
      } else if (current !== undefined && current.length <= MAX_DETAIL_LINES) {
        current.push(line)
      }
    }
  }

  /** All of them, in the order of their coming; nothing when there was none. */
  lines(): readonly string[] {
    return this.#found.flat()
  }
}
