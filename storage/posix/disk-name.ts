/** Names as bytes on disk: UTF-8, and what is none kept in lone surrogates (one per byte), so that such files can still be reached. */

/** Byte 0x80 of a name that is not UTF-8 is held as U+DC80, and so on. */
const ESCAPE_BASE = 0xdc00
const REPLACEMENT = '\ufffd'
const LONE_SURROGATE = /\p{Surrogate}/u
const EVERY_LONE_SURROGATE = /\p{Surrogate}/gu

/** A name read from a directory. */
export function decodeName(bytes: Buffer, from: number, to: number): string {
  const text = bytes.toString('utf8', from, to)
  if (!text.includes(REPLACEMENT) || Buffer.from(text).equals(bytes.subarray(from, to))) return text
  let escaped = ''
  for (const byte of bytes.subarray(from, to)) {
    escaped += String.fromCharCode(byte < 0x80 ? byte : ESCAPE_BASE + byte)
  }
  return escaped
}

/** The form that system calls take: a string where it is well-formed, otherwise its bytes with a final NUL. */
export function encodePath(path: string): string | Buffer {
  if (!LONE_SURROGATE.test(path)) return path
  const parts: Buffer[] = []
  for (const character of path) {
    const unit = character.charCodeAt(0)
    const escaped = character.length === 1 && unit >= ESCAPE_BASE && unit <= ESCAPE_BASE + 0xff
    parts.push(escaped ? Buffer.of(unit - ESCAPE_BASE) : Buffer.from(character))
  }
  return Buffer.concat([...parts, Buffer.of(0)])
}

/** What clients are shown of a name that is not UTF-8: it, with a replacement character for every byte that is none. */
export function wellFormed(name: string): string {
  return LONE_SURROGATE.test(name) ? name.replace(EVERY_LONE_SURROGATE, REPLACEMENT) : name
}
