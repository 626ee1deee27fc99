/** MS-DTYP 2.3.4: values by GUIDs, ClientGuids and lease keys among them, found without making a string of the 16 bytes. */

const WORDS = 4
const WORD_BYTES = 4
const BYTE_BITS = 8
/** Places of an empty table; a power of two, as all its later sizes. */
const FIRST_PLACES = 8
/** Most of the places that are taken, as a fraction: with more of them, what is looked for lies ever further from its place. */
const FULLEST = 0.8
/** Odd, with bits everywhere: each bit of a word reaches the upper half of the product. */
const MIX = 0x9e37_79b1
const HALF_BITS = 15

/**
 * A hash table whose keys lie in one block of memory, each in the first free place from its own on. A Map of
 * hexadecimal strings takes many times as long where it is large, as its keys lie all over the heap, and where the same
 * key comes and goes: what was deleted stays in the Map's chains until it is full.
 */
export class GuidMap<V extends object> {
  readonly #seed: number
  #words = new Int32Array(WORDS * FIRST_PLACES)
  /** As many as there are places; undefined: the place is free. */
  #values: (V | undefined)[] = freePlaces(FIRST_PLACES)
  #size = 0

  /** @param seed 32 bits that clients do not know: they choose the keys, and must not choose which meet in the table */
  constructor(seed: number) {
    this.#seed = seed
  }

  get size(): number {
    return this.#size
  }

  /** @param guid 16 bytes */
  get(guid: Buffer): V | undefined {
    return this.#values[this.#placeOf(guid)]
  }

  /** @param guid 16 bytes, which are copied */
  set(guid: Buffer, value: V): void {
    const place = this.#placeOf(guid)
    if (this.#values[place] === undefined) {
      for (let index = 0; index < WORDS; index++) this.#words[WORDS * place + index] = word(guid, index)
      this.#size++
    }
    this.#values[place] = value
    if (this.#size > this.#values.length * FULLEST) this.#grow()
  }

  /** @returns whether it was there */
  delete(guid: Buffer): boolean {
    let free = this.#placeOf(guid)
    if (this.#values[free] === undefined) return false
    // What follows and might have lain here moves up: a search ends at the first free place.
    for (let place = this.#after(free); this.#values[place] !== undefined; place = this.#after(place)) {
      const distance = this.#distance(this.#ownPlace(this.#words, place), place)
      if (distance < this.#distance(free, place)) continue
      this.#move(this.#words, place, free, this.#values[place])
      free = place
    }
    this.#values[free] = undefined
    this.#size--
    return true
  }

  /** Where it is, or else the free place where it belongs. */
  #placeOf(guid: Buffer): number {
    const first = word(guid, 0)
    const second = word(guid, 1)
    const third = word(guid, 2)
    const fourth = word(guid, 3)
    const words = this.#words
    let place = this.#wrapped(hashOf(this.#seed, first, second, third, fourth))
    while (this.#values[place] !== undefined) {
      const at = WORDS * place
      const isIt =
        words[at] === first && words[at + 1] === second && words[at + 2] === third && words[at + 3] === fourth
      if (isIt) return place
      place = this.#after(place)
    }
    return place
  }

  #grow(): void {
    const [words, values] = [this.#words, this.#values]
    this.#words = new Int32Array(words.length * 2)
    this.#values = freePlaces(values.length * 2)
    for (const [from, value] of values.entries()) {
      if (value === undefined) continue
      let place = this.#ownPlace(words, from)
      while (this.#values[place] !== undefined) place = this.#after(place)
      this.#move(words, from, place, value)
    }
  }

  #move(words: Int32Array, from: number, to: number, value: V | undefined): void {
    this.#words.set(words.subarray(WORDS * from, WORDS * (from + 1)), WORDS * to)
    this.#values[to] = value
  }

  /** Where the key that is at a place of these words belongs. */
  #ownPlace(words: Int32Array, place: number): number {
    const at = WORDS * place
    return this.#wrapped(
      hashOf(
        this.#seed,
        words[at] as number,
        words[at + 1] as number,
        words[at + 2] as number,
        words[at + 3] as number,
      ),
    )
  }

  #after(place: number): number {
    return this.#wrapped(place + 1)
  }

  /** How many places `to` is behind `from`. */
  #distance(from: number, to: number): number {
    return this.#wrapped(to - from)
  }

  #wrapped(place: number): number {
    return place & (this.#values.length - 1)
  }
}

function freePlaces<V>(count: number): (V | undefined)[] {
  return new Array<V | undefined>(count).fill(undefined)
}

/** Byte by byte: the Buffer's own methods check more and take longer. */
function word(guid: Buffer, index: number): number {
  const at = index * WORD_BYTES
  const low = (guid[at] as number) | ((guid[at + 1] as number) << BYTE_BITS)
  const high = (guid[at + 2] as number) | ((guid[at + 3] as number) << BYTE_BITS)
  return low | (high << (2 * BYTE_BITS))
}

function hashOf(seed: number, first: number, second: number, third: number, fourth: number): number {
  return mix(mix(mix(mix(seed, first), second), third), fourth)
}

function mix(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, MIX)
  return product ^ (product >>> HALF_BITS)
}
