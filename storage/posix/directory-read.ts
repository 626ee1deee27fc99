/** getdents64(2): the names of a directory, straight from the kernel's buffer. */

import { check } from './errno.ts'
import { getdents64, lseek, SEEK_SET } from './native.ts'

/** One call's worth of entries. */
const BUFFER_BYTES = 65_536
/** struct linux_dirent64: inode 8, offset 8, then these. */
const RECORD_LENGTH = 16
const NAME = 19
const DOT = 0x2e

const buffer = Buffer.alloc(BUFFER_BYTES)

/** Calls `visit` with where each name stands, '.' and '..' left out; the buffer is overwritten afterwards. */
export function eachName(fd: number, visit: (bytes: Buffer, from: number, to: number) => void): void {
  check(lseek(fd, 0, SEEK_SET), 'lseek')
  while (eachNameOnce(fd, visit));
}

/** The same with what one call to the kernel gives, from where the descriptor stands. Returns false at the end. */
export function eachNameOnce(fd: number, visit: (bytes: Buffer, from: number, to: number) => void): boolean {
  const length = check(getdents64(fd, buffer, BUFFER_BYTES), 'getdents64')
  let at = 0
  while (at < length) {
    const from = at + NAME
    const to = buffer.indexOf(0, from)
    const dots = buffer[from] === DOT && (to - from === 1 || (to - from === 2 && buffer[from + 1] === DOT))
    if (!dots) visit(buffer, from, to)
    at += buffer.readUInt16LE(at + RECORD_LENGTH)
  }
  return length > 0
}
