/** The lines that an interop suite prints: `ok` and `FAIL`, one for each check, which the runner counts. */

/** How many lines of a failed check's message are shown. */
const maxDetailLines = 40

/** Thrown by a check whose expectation did not hold. */
export class CheckError extends Error {}

/** Asserts something about a peer's behaviour. @throws CheckError with the message when it does not hold */
export function expect(holds: boolean, message: string): asserts holds {
  if (!holds) {
    throw new CheckError(message)
  }
}

/** Counts and prints the checks of one suite. Times are printed for information only. */
export class Report {
  readonly #suite: string
  /** Parts of names; empty: everything runs. */
  readonly filter: readonly string[]
  #group = ''
  passed = 0
  failed = 0

  constructor(suite: string, filter: readonly string[]) {
    this.#suite = suite
    this.filter = filter
  }

  /** Runs checks that belong together, unless the command line names others. */
  async group(name: string, run: () => Promise<void>): Promise<void> {
    if (this.filter.length > 0 && !this.filter.some((part) => name.includes(part))) {
      return
    }
    this.#group = name
    try {
      await run()
    } catch (error) {
      this.fail('a step between the checks', error)
    }
    this.#group = ''
  }

  /** Runs one check. @returns whether it passed, so that what builds on it can be left out */
  async check(name: string, run: () => Promise<void> | void): Promise<boolean> {
    const start = performance.now()
    try {
      await run()
    } catch (error) {
      this.fail(name, error)
      return false
    }
    this.passed += 1
    process.stdout.write(`ok   ${this.#title(name)} (${secondsSince(start)} s)\n`)
    return true
  }

  /** Counts successes that were found outside a check. */
  pass(name: string, count = 1): void {
    this.passed += count
    process.stdout.write(`ok   ${this.#title(name)}${count === 1 ? '' : ` [${count}]`}\n`)
  }

  /** Counts a failure that was found outside a check. */
  fail(name: string, error: unknown): void {
    this.failed += 1
    const text =
      error instanceof CheckError ? error.message : String(error instanceof Error ? error.stack : error)
    process.stdout.write(`FAIL ${this.#title(name)}\n`)
    if (text !== '') {
      this.note(text)
    }
  }

  /** Shows indented lines that are not counted. */
  note(text: string): void {
    const lines = text.trimEnd().split('\n')
    const shown = lines.length > maxDetailLines ? ['...', ...lines.slice(-maxDetailLines)] : lines
    for (const line of shown) {
      process.stdout.write(`     | ${line}\n`)
    }
  }

  #title(name: string): string {
    return `${[this.#suite, this.#group].filter((part) => part !== '').join(' ')}: ${name}`
  }
}

function secondsSince(start: number): string {
  return ((performance.now() - start) / 1000).toFixed(1)
}
