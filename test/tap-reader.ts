/** Reads the raw output of `tap` (TAP 14): a line per file, the failures in full, the totals. */

/** How much of a failing file's output is shown, in lines. */
const maxFailureLines = 150

/** `ok 3 - dist/test/x.test.js # time=12ms`, not indented: the result of a file. */
const fileLine = /^(ok|not ok) \d+ - (\S+)(?: # time=([\d.]+)ms)?/
/** `# { total: 5, pass: 3, fail: 1, skip: 1 }`: the last lines. */
const totalsLine = /^# \{.*\}$/

/** `ok 4 - name # SKIP reason`: a test that left itself out. */
const skipLine = /^\s*ok \d+ - (.*?) # SKIP ?(.*)$/

export class TapReader {
  /** Tests that left themselves out, with their reasons. */
  readonly skipped: string[] = []
  readonly #say: (line: string) => void
  #block: string[] = []
  #passed = 0
  #failed = 0
  /** Lines of diagnostics follow a failing file's own line. */
  #isFailing = false

  constructor(say: (line: string) => void) {
    this.#say = say
  }

  /** Takes the next line of output. */
  take(line: string): void {
    const [, verdict, file, time] = fileLine.exec(line) ?? []
    if (verdict !== undefined) {
      this.#endOfFile(verdict === 'ok', file ?? '', Number(time ?? 0))
      return
    }
    const [, name, reason] = skipLine.exec(line) ?? []
    if (name !== undefined) {
      this.skipped.push(`${name}${reason === '' ? '' : ` (${reason})`}`)
    }
    if (totalsLine.test(line)) {
      this.#passed = numberAfter(line, 'pass')
      this.#failed = numberAfter(line, 'fail')
    }
    if (this.#isFailing && /^ {2}\S|^ {4}/.test(line)) {
      // The runner's own diagnostics: what it called, where.
      return
    }
    this.#isFailing = false
    this.#block.push(line)
  }

  /** Assertions of all files. */
  totals(): { readonly passed: number; readonly failed: number } {
    return { passed: this.#passed, failed: this.#failed }
  }

  #endOfFile(isOk: boolean, file: string, milliseconds: number): void {
    this.#say(`${isOk ? 'ok  ' : 'FAIL'} ${file} (${(milliseconds / 1000).toFixed(1)} s)`)
    if (!isOk) {
      const lines = this.#block.filter((line) => !/^\s*(?:ok \d+|TAP version|\d+\.\.\d+|#|$)/.test(line))
      for (const line of lines.slice(0, maxFailureLines)) {
        this.#say(`     | ${line}`)
      }
      this.#isFailing = true
    }
    this.#block = []
  }
}

function numberAfter(line: string, key: string): number {
  return Number(new RegExp(`\\b${key}: (\\d+)`).exec(line)?.[1] ?? 0)
}
