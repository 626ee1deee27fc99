/** A compact set of names, found by the hash of a key of theirs: about 40 bytes each and off the heap, so that a folder of a million fits. */

/** Fills at most this part of the slots. */
const LOAD_DIVISOR = 2
const INITIAL_SLOTS = 64
const INITIAL_BYTES = 1024
/** Slots hold hash and position + FIRST; lower ones are free or were removed. */
const FREE = 0
const REMOVED = 1
const FIRST = 2

/** FNV-1a over the UTF-16 units of a key. */
export function hashOf(key: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}

/** An open-addressing table from hashes to positions; a hash may have several. */
class Slots {
  #cells = new Uint32Array(INITIAL_SLOTS * 2)
  #used = 0

  insert(hash: number, position: number): void {
    if ((this.#used + 1) * LOAD_DIVISOR > this.#cells.length / 2) this.#grow()
    const mask = this.#cells.length / 2 - 1
    let slot = hash & mask
    while ((this.#cells[slot * 2 + 1] ?? FREE) !== FREE) slot = (slot + 1) & mask
    this.#cells[slot * 2] = hash
    this.#cells[slot * 2 + 1] = position + FIRST
    this.#used++
  }

  /** First position with this hash that `accept` takes. */
  find(hash: number, accept: (position: number) => boolean, remove = false): number | undefined {
    const mask = this.#cells.length / 2 - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const value = this.#cells[slot * 2 + 1] ?? FREE
      if (value === FREE) return undefined
      if (value === REMOVED || this.#cells[slot * 2] !== hash || !accept(value - FIRST)) continue
      if (remove) this.#cells[slot * 2 + 1] = REMOVED
      return value - FIRST
    }
  }

  *entries(): Generator<readonly [hash: number, position: number]> {
    for (let at = 0; at < this.#cells.length; at += 2) {
      const value = this.#cells[at + 1] ?? FREE
      if (value >= FIRST) yield [this.#cells[at] ?? 0, value - FIRST]
    }
  }

  #grow(): void {
    const live = [...this.entries()]
    let slots = INITIAL_SLOTS
    while (slots < (live.length + 1) * LOAD_DIVISOR * 2) slots *= 2
    this.#cells = new Uint32Array(slots * 2)
    this.#used = 0
    for (const [hash, position] of live) this.insert(hash, position)
  }
}

/** Names as bytes of at most 255, each under the hash of its key. */
export class NameTable {
  #bytes = Buffer.allocUnsafe(INITIAL_BYTES)
  #end = 0
  #slots = new Slots()
  /** A second way to the same names, made when first needed. */
  #others: Slots | undefined
  #count = 0
  #garbageBytes = 0
  readonly #decode: (bytes: Buffer, from: number, to: number) => string

  constructor(decode: (bytes: Buffer, from: number, to: number) => string) {
    this.#decode = decode
  }

  get count(): number {
    return this.#count
  }

  add(hash: number, bytes: Buffer, from: number, to: number, otherHash: () => number): void {
    const length = to - from
    this.#reserve(length + 1)
    const position = this.#end
    this.#bytes[position] = length
    bytes.copy(this.#bytes, position + 1, from, to)
    this.#end += length + 1
    this.#slots.insert(hash, position)
    this.#others?.insert(otherHash(), position)
    this.#count++
  }

  /** Removes a name; nothing happens when it is not there. */
  remove(hash: number, name: string): void {
    const is = (position: number) => this.#nameAt(position) === name
    const position = this.#slots.find(hash, is, true)
    if (position === undefined) return
    this.#count--
    this.#garbageBytes += 1 + (this.#bytes[position] ?? 0)
    // The second way is made anew when it is next needed.
    this.#others = undefined
    if (this.#garbageBytes > INITIAL_BYTES && this.#garbageBytes > this.#end / 2) this.#compact()
  }

  /** First name under a hash that `accept` takes. */
  find(hash: number, accept: (name: string) => boolean): string | undefined {
    return this.#findIn(this.#slots, hash, accept)
  }

  /** The same through the second way, whose hashes `hashOfName` gives. */
  findOther(
    hash: number,
    hashOfName: (name: string) => number,
    accept: (name: string) => boolean,
  ): string | undefined {
    if (this.#others === undefined) {
      this.#others = new Slots()
      for (const [, position] of this.#slots.entries()) {
        this.#others.insert(hashOfName(this.#nameAt(position)), position)
      }
    }
    return this.#findIn(this.#others, hash, accept)
  }

  #findIn(slots: Slots, hash: number, accept: (name: string) => boolean): string | undefined {
    const position = slots.find(hash, (at) => accept(this.#nameAt(at)))
    return position === undefined ? undefined : this.#nameAt(position)
  }

  #nameAt(position: number): string {
    return this.#decode(this.#bytes, position + 1, position + 1 + (this.#bytes[position] ?? 0))
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#end + bytes))
    this.#bytes.copy(larger, 0, 0, this.#end)
    this.#bytes = larger
  }

  #compact(): void {
    const old = this.#bytes
    const live = [...this.#slots.entries()]
    this.#bytes = Buffer.allocUnsafe(Math.max(INITIAL_BYTES, this.#end - this.#garbageBytes))
    this.#end = 0
    this.#garbageBytes = 0
    this.#slots = new Slots()
    this.#count = 0
    for (const [hash, position] of live) {
      const from = position + 1
      this.add(hash, old, from, from + (old[position] ?? 0), () => 0)
    }
  }
}
