/** Text as it comes from a program, cut into lines. */

/** Hands out each line when it is complete. */
export class LineReader {
  readonly #take: (line: string) => void
  #rest = ''

  constructor(take: (line: string) => void) {
    this.#take = take
  }

  push(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      this.#take(line)
    }
  }

  /** Hands out what follows the last line end. */
  end(): void {
    if (this.#rest !== '') {
      this.#take(this.#rest)
    }
    this.#rest = ''
  }
}
