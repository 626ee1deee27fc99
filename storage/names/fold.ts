/** Case folding as MS-FSA 2.1.4.4 and NTFS' upcase table have it: one UTF-16 unit becomes one, whatever stands beside it. */

const UNIT_COUNT = 0x1_0000
const FIRST_BEYOND_ASCII = 0x80
// biome-ignore lint/suspicious/noControlCharactersInRegex: the whole of ASCII is meant
const ONLY_ASCII = /^[\x00-\x7f]*$/

/**
 * The simple upper case of every UTF-16 unit. A character whose upper case has another length
 * ('ß') stays, and none beyond ASCII becomes an ASCII letter ('ı', 'ſ'): NTFS keeps them apart,
 * and a name that is plain ASCII must not be reached by one that only looks like it.
 */
function makeUpcaseTable(): Uint16Array {
  const table = new Uint16Array(UNIT_COUNT)
  for (let unit = 0; unit < UNIT_COUNT; unit++) {
    const upper = String.fromCharCode(unit).toUpperCase()
    const folded = upper.length === 1 ? upper.charCodeAt(0) : unit
    const intoAscii = unit >= FIRST_BEYOND_ASCII && folded < FIRST_BEYOND_ASCII
    table[unit] = intoAscii ? unit : folded
  }
  return table
}

const UPCASE = makeUpcaseTable()

/** One UTF-16 unit in upper case. */
export function upcaseUnit(unit: number): number {
  return UPCASE[unit] ?? unit
}

/** Two names with the same key differ in case alone. */
export function foldKey(name: string): string {
  if (ONLY_ASCII.test(name)) return name.toUpperCase()
  const units = new Uint16Array(name.length)
  for (let at = 0; at < name.length; at++) units[at] = upcaseUnit(name.charCodeAt(at))
  return Buffer.from(units.buffer).toString('utf16le')
}

/** Two names with the same key differ in case or in their Unicode form (composed, decomposed) alone. */
export function normalKey(name: string): string {
  return ONLY_ASCII.test(name) ? name.toUpperCase() : foldKey(name.normalize('NFC'))
}
