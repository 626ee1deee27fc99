/** RFC 7143 4.2.5: ours: bytes that a session may make the server hold; who wants more waits in line. */

export class ByteBudget {
  readonly #limit: number
  #used = 0
  readonly #waiting: { readonly bytes: number; readonly run: () => void }[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  get used(): number {
    return this.#used
  }

  /**
   * Runs at once when there is room, or when nothing else is held: so what is larger than all gets its turn, too.
   * @returns takes it out of the line, does nothing when it has run; undefined: it has
   */
  take(bytes: number, run: () => void): (() => void) | undefined {
    if (this.#waiting.length === 0 && this.#hasRoom(bytes)) {
      this.#used += bytes
      run()
      return undefined
    }
    const entry = { bytes, run }
    this.#waiting.push(entry)
    this.#advance()
    return () => {
      const at = this.#waiting.indexOf(entry)
      if (at < 0) return
      this.#waiting.splice(at, 1)
      this.#advance()
    }
  }

  #hasRoom(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#limit
  }

  give(bytes: number): void {
    this.#used -= bytes
    this.#advance()
  }

  #advance(): void {
    for (;;) {
      const first = this.#waiting[0]
      if (first === undefined || !this.#hasRoom(first.bytes)) return
      this.#waiting.shift()
      this.#used += first.bytes
      first.run()
    }
  }
}
