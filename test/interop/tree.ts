/** The tree of files that every client writes and reads back: edge sizes, Unicode names, a large file, many small ones. */

import { createCipheriv, createHash } from 'node:crypto'
import { mkdir, open, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CheckError } from './report.ts'

const KiB = 1024
const MiB = 1024 * KiB

/** The sizes at which clients change their way of writing, in bytes. */
const edgeSizes = {
  empty: 0,
  'one-byte': 1,
  'below-64k': 64 * KiB - 1,
  'exactly-64k': 64 * KiB,
  'above-64k': 64 * KiB + 1,
}
export const largeFile = { name: 'large.bin', size: 100 * MiB } as const
/** How many small files a full tree has. */
export const manyFiles = 10_000
export const manyFolder = 'many'
/** Names in several scripts: composed and decomposed, outside the BMP, and punctuation that shells and protocols treat specially. */
export const unicodeNames = [
  'r\u00e9sum\u00e9.txt',
  'u\u0308ber decomposed.txt',
  '\u65e5\u672c\u8a9e\u306e\u540d\u524d.txt',
  '\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440.txt',
  '\u{1f3ca}\u{1f3e0} emoji.txt',
  '\u0645\u0631\u062d\u0628\u0627.txt',
  "punctuation + , ; = [x] & ' % # @ !.txt",
  `long ${'\u00e4'.repeat(100)}.txt`,
]
export const unicodeFolder = 'Unicode \u00fcml\u00e4ut'

/** Bytes that do not compress and are the same on every run; `key` tells files apart. */
export function noise(size: number, key: number): Buffer {
  const seed = createHash('sha256').update(`poolhouse tree ${key}`).digest()
  const cipher = createCipheriv('aes-256-ctr', seed, Buffer.alloc(16))
  return cipher.update(Buffer.alloc(size))
}

export interface TreeOptions {
  /** How many small files; 0: none. */
  readonly small: number
  readonly large: boolean
  /** false: no name that needs surrogate pairs, for clients that count characters where the protocol counts UTF-16 units. */
  readonly beyondBmp?: boolean
}

/** Writes the tree into a directory, which is made. */
export async function makeTree(directory: string, options: TreeOptions): Promise<void> {
  await mkdir(join(directory, unicodeFolder), { recursive: true })
  for (const [name, size] of Object.entries(edgeSizes)) {
    await writeFile(join(directory, `${name}.bin`), noise(size, size))
  }
  for (const [index, name] of namesFor(options).entries()) {
    await writeFile(join(directory, unicodeFolder, name), `${index}: ${name}\n`)
  }
  if (options.large) {
    await writeFile(join(directory, largeFile.name), noise(largeFile.size, 100))
  }
  if (options.small > 0) {
    await mkdir(join(directory, manyFolder), { recursive: true })
    for (let index = 0; index < options.small; index += 1) {
      await writeFile(join(directory, manyFolder, smallName(index)), `small file ${index}\n`)
    }
  }
}

/** The Unicode names of a tree. */
export function namesFor(options: Pick<TreeOptions, 'beyondBmp'>): readonly string[] {
  return unicodeNames.filter((name) => options.beyondBmp !== false || !/[\u{10000}-\u{10ffff}]/u.test(name))
}

/** The name of the n-th small file. */
export function smallName(index: number): string {
  return `small-${String(index).padStart(5, '0')}.txt`
}

/** Path below the directory -> `size sha256`. */
export type Fingerprint = ReadonlyMap<string, string>

/** Reads a whole tree and digests it; paths use '/' and are sorted. */
export async function fingerprint(directory: string): Promise<Fingerprint> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
  const digests = new Map<string, string>()
  for (const path of paths.sort()) {
    digests.set(path, await digest(join(directory, path)))
  }
  return digests
}

/** `size sha256` of one file. */
export async function digest(path: string): Promise<string> {
  const hash = createHash('sha256')
  let size = 0
  const file = await open(path)
  try {
    for await (const chunk of file.createReadStream({ autoClose: false, highWaterMark: MiB })) {
      hash.update(chunk as Buffer)
      size += (chunk as Buffer).length
    }
  } finally {
    await file.close()
  }
  return `${size} ${hash.digest('hex')}`
}

/** @throws CheckError that lists what is missing, what differs and what nobody wrote */
export function expectSame(actual: Fingerprint, expected: Fingerprint): void {
  const problems: string[] = []
  for (const [path, value] of expected) {
    const found = actual.get(path)
    if (found === undefined) {
      problems.push(`missing: ${path}`)
    } else if (found !== value) {
      problems.push(`differs: ${path}: ${found}, expected ${value}`)
    }
  }
  for (const path of actual.keys()) {
    if (!expected.has(path)) {
      problems.push(`unexpected: ${path}`)
    }
  }
  if (problems.length > 0) {
    throw new CheckError(
      [`${problems.length} of ${expected.size} files are wrong`, ...problems.slice(0, 10)].join('\n'),
    )
  }
}
