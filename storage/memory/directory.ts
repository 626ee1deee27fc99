/** A directory in RAM: exact names, found as MS-FSA 2.1.5.1 has it, without regard to case, and tolerant of the Unicode form. */

import { foldKey, normalKey } from '../names/fold.ts'
import { looksGenerated, shortNameOf } from '../names/short-name.ts'
import type { Entry } from './node.ts'

export class Directory {
  readonly #caseSensitive: boolean
  readonly #exact = new Map<string, Entry>()
  /** Entries by the key that equal names share in every form. */
  readonly #loose = new Map<string, Entry[]>()

  constructor(caseSensitive: boolean) {
    this.#caseSensitive = caseSensitive
  }

  get size(): number {
    return this.#exact.size
  }

  entries(): Entry[] {
    return [...this.#exact.values()]
  }

  /** The entry of exactly this name. */
  exact(name: string): Entry | undefined {
    return this.#exact.get(name)
  }

  /**
   * The entry that an open of this name finds: the exact one, one in another case, in another Unicode
   * form, or by its 8.3 name.
   */
  find(name: string): Entry | undefined {
    return this.clash(name) ?? (this.#caseSensitive ? undefined : this.#loose.get(normalKey(name))?.[0])
  }

  /** The entry that keeps a new one of this name from being made: another Unicode form doesn't. */
  clash(name: string): Entry | undefined {
    const exact = this.#exact.get(name)
    if (exact !== undefined || this.#caseSensitive) return exact
    const key = foldKey(name)
    return (
      this.#loose.get(normalKey(name))?.find((entry) => foldKey(entry.name) === key) ??
      this.#byShortName(name)
    )
  }

  add(entry: Entry): void {
    this.#exact.set(entry.name, entry)
    const key = normalKey(entry.name)
    const list = this.#loose.get(key)
    if (list === undefined) this.#loose.set(key, [entry])
    else list.push(entry)
  }

  remove(entry: Entry): void {
    this.#exact.delete(entry.name)
    const key = normalKey(entry.name)
    const others = this.#loose.get(key)?.filter((other) => other !== entry) ?? []
    if (others.length === 0) this.#loose.delete(key)
    else this.#loose.set(key, others)
  }

  #byShortName(name: string): Entry | undefined {
    if (!looksGenerated(name)) return undefined
    const wanted = name.toUpperCase()
    return this.entries().find((entry) => shortNameOf(entry.name) === wanted)
  }
}
