/** Bundles as Time Machine leaves them, and property lists in both forms. */

import type { FileSystem } from '../../storage/file-system.ts'

export type Bundle = Readonly<Record<string, Buffer>>

export function xml(body: string): Buffer {
  return Buffer.from(
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" ' +
      `"http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n<plist version="1.0">\n${body}\n</plist>\n`,
  )
}

/** @param times of completion, milliseconds since 1970 */
export function historyXml(times: readonly number[]): Buffer {
  const entries = times.map(
    (time) =>
      `<dict><key>com.apple.backupd.SnapshotCompletionDate</key><date>${new Date(time).toISOString().slice(0, 19)}Z</date>` +
      '<key>com.apple.backupd.SnapshotTotalBytesCopied</key><integer>4096</integer></dict>',
  )
  return xml(`<dict><key>Snapshots</key><array>${entries.join('\n')}</array></dict>`)
}

/** Writes values as bplist00, with positions of two bytes and references of one. */
export function binaryPlist(root: unknown): Buffer {
  const objects: Buffer[] = []
  const add = (value: unknown): number => {
    const index = objects.push(Buffer.alloc(0)) - 1
    objects[index] = encode(value, add)
    return index
  }
  add(root)
  let position = 8
  const table = objects.map((object) => {
    const entry = Buffer.alloc(2)
    entry.writeUInt16BE(position)
    position += object.length
    return entry
  })
  const trailer = Buffer.alloc(32)
  trailer.set([2, 1], 6)
  trailer.writeUInt32BE(objects.length, 12)
  trailer.writeUInt32BE(position, 28)
  return Buffer.concat([Buffer.from('bplist00'), ...objects, ...table, trailer])
}

function encode(value: unknown, add: (value: unknown) => number): Buffer {
  const marked = (kind: number, count: number, content: Buffer | number[]): Buffer => {
    const head = count < 15 ? [(kind << 4) | count] : [(kind << 4) | 15, 0x11, count >> 8, count & 0xff]
    return Buffer.concat([Buffer.from(head), Buffer.from(content)])
  }
  const double = (marker: number, number: number): Buffer => {
    const bytes = Buffer.alloc(9, marker)
    bytes.writeDoubleBE(number, 1)
    return bytes
  }
  if (typeof value === 'boolean') return Buffer.from([value ? 9 : 8])
  if (typeof value === 'number') return double(0x23, value)
  if (value instanceof Date) return double(0x33, value.getTime() / 1000 - 978_307_200)
  if (Buffer.isBuffer(value)) return marked(4, value.length, value)
  if (Array.isArray(value)) return marked(10, value.length, value.map(add))
  if (typeof value === 'bigint') {
    const bytes = Buffer.alloc(9, 0x13)
    bytes.writeBigInt64BE(value, 1)
    return bytes
  }
  if (typeof value === 'string') {
    const isAscii = [...value].every((character) => character < '\x80')
    return isAscii
      ? marked(5, value.length, Buffer.from(value))
      : marked(6, value.length, Buffer.from(value, 'utf16le').swap16())
  }
  const entries = Object.entries(value as object)
  return marked(13, entries.length, [
    ...entries.map(([key]) => add(key)),
    ...entries.map(([, one]) => add(one)),
  ])
}

/** Puts files into a bundle, in place of those of the same names. */
export async function makeBundle(fs: FileSystem, name: string, files: Bundle): Promise<void> {
  const request = {
    identity: undefined,
    disposition: 'open-if',
    followLinks: true,
    wantPermissions: false,
  } as const
  const open = async (path: string, kind: 'file' | 'directory') => {
    const isFile = kind === 'file'
    const create = { mode: 0o755, dosAttributes: 0 }
    const outcome = await fs.open({ ...request, path, kind, read: isFile, write: isFile, create })
    if (!outcome.ok) throw new Error(`${path}: ${outcome.error}`)
    return outcome.handle
  }
  await (await open(name, 'directory')).close()
  for (const [file, content] of Object.entries(files)) {
    const handle = await open(`${name}/${file}`, 'file')
    await handle.setSize(0)
    await handle.write(content, 0)
    await handle.close()
  }
}
