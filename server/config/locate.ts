/** Finds the line of a key in a TOML text (TOML 1.0) that is known to be valid. */

export type KeyPath = readonly (string | number)[]

/** Lines of keys, counted from 1. */
export interface KeyLines {
  /** The line of the key, or of the nearest table around it that has one. */
  lineOf(path: KeyPath): number | undefined
}

/** Reads the text once and notes where each table, key and array item begins. */
export function locateKeys(text: string): KeyLines {
  const lines = new Scanner(text).scan()
  return {
    lineOf(path) {
      for (let length = path.length; length > 0; length--) {
        const line = lines.get(JSON.stringify(path.slice(0, length)))
        if (line !== undefined) return line
      }
      return undefined
    },
  }
}

const BARE_KEY = /[A-Za-z0-9_-]+/y
const BLANK = /[ \t]*/y
/** Blanks, line ends and comments. */
const SPACE = /(?:[ \t\r\n]|#[^\n]*)*/y
const BARE_VALUE = /[^,\]}\n#]*/y
/** The multi-line forms may end in up to two quotes of their own. */
const STRING = /"""(?:\\[\s\S]|[^\\])*?"""(?:"{0,2})|'''[\s\S]*?'''(?:'{0,2})|"(?:\\.|[^"\\\n])*"|'[^'\n]*'/y

class Scanner {
  private readonly text: string
  private position = 0
  private readonly lines = new Map<string, number>()
  private readonly arraySizes = new Map<string, number>()

  constructor(text: string) {
    this.text = text
  }

  scan(): ReadonlyMap<string, number> {
    let table: KeyPath = []
    for (;;) {
      this.take(SPACE)
      if (this.position >= this.text.length) return this.lines
      const before = this.position
      if (this.peek() === '[') table = this.scanHeader()
      else this.scanPair(table)
      // Only an invalid text could stand still here.
      if (this.position === before) return this.lines
    }
  }

  /** `[a.b]` or `[[a.b]]`. @returns the table's path, with the positions of the arrays it lies in */
  private scanHeader(): KeyPath {
    const line = this.line()
    this.position++
    const isArray = this.peek() === '['
    if (isArray) this.position++
    const keys = this.scanKeys()
    this.position += isArray ? 2 : 1
    let path: KeyPath = []
    keys.forEach((key, index) => {
      path = [...path, key]
      this.note(path, line)
      const name = JSON.stringify(path)
      const size = this.arraySizes.get(name) ?? 0
      if (isArray && index === keys.length - 1) {
        this.arraySizes.set(name, size + 1)
        path = [...path, size]
        this.note(path, line)
      } else if (size > 0) {
        path = [...path, size - 1]
      }
    })
    return path
  }

  /** `key = value`, the key possibly dotted. */
  private scanPair(table: KeyPath): void {
    const line = this.line()
    let path = table
    for (const key of this.scanKeys()) {
      path = [...path, key]
      this.note(path, line)
    }
    this.take(BLANK)
    this.position++
    this.take(BLANK)
    this.scanValue(path)
  }

  private scanValue(path: KeyPath): void {
    const first = this.peek()
    if (first === '"' || first === "'") this.take(STRING)
    else if (first === '[') this.scanItems(']', (index) => this.scanItem([...path, index]))
    else if (first === '{') this.scanItems('}', () => this.scanPair(path))
    else this.take(BARE_VALUE)
  }

  private scanItem(path: KeyPath): void {
    this.note(path, this.line())
    this.scanValue(path)
  }

  private scanItems(end: string, scanOne: (index: number) => void): void {
    this.position++
    for (let index = 0; ; index++) {
      this.take(SPACE)
      if (this.peek() === ',') {
        this.position++
        this.take(SPACE)
      }
      if (this.peek() === end || this.position >= this.text.length) break
      const before = this.position
      scanOne(index)
      if (this.position === before) break
    }
    this.position++
  }

  private scanKeys(): string[] {
    const keys: string[] = []
    for (;;) {
      this.take(BLANK)
      const quoted = this.peek() === '"' || this.peek() === "'"
      keys.push(quoted ? unquote(this.take(STRING)) : this.take(BARE_KEY))
      this.take(BLANK)
      if (this.peek() !== '.') return keys
      this.position++
    }
  }

  private peek(): string {
    return this.text.charAt(this.position)
  }

  private take(pattern: RegExp): string {
    pattern.lastIndex = this.position
    const match = pattern.exec(this.text)?.[0] ?? ''
    this.position += match.length
    return match
  }

  private note(path: KeyPath, line: number): void {
    const name = JSON.stringify(path)
    if (!this.lines.has(name)) this.lines.set(name, line)
  }

  /** Configuration files are short: counting again each time is cheap. */
  private line(): number {
    let line = 1
    for (
      let at = this.text.indexOf('\n');
      at >= 0 && at < this.position;
      at = this.text.indexOf('\n', at + 1)
    )
      line++
    return line
  }
}

function unquote(quoted: string): string {
  if (quoted.startsWith("'")) return quoted.slice(1, -1)
  try {
    return JSON.parse(quoted) as string
  } catch {
    // \U00000000 is TOML's own; the name is for a message only.
    return quoted.slice(1, -1)
  }
}
