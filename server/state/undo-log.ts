/** SBC-4 4.29: what atomic writes change, kept over a power cut: one file per LUN in the state directory. */

import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { type FileHandle, open, readFile, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { UndoLog, UndoRecord } from '../../protocols/iscsi/scsi/atomic-write.ts'
import { syncDirectory } from './atomic-file.ts'

const FOLDER = 'atomic-writes'
const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
const MAGIC = Buffer.from('PHUNDO01')
const OFFSET_AT = MAGIC.length
const LENGTH_AT = OFFSET_AT + 8
const DIGEST_AT = LENGTH_AT + 4
/** The head: magic, offset and length on the disk, SHA-256 of these and of what follows. Then what was there, then what is to be. */
const HEAD_BYTES = DIGEST_AT + 32
const NOTHING = Buffer.alloc(HEAD_BYTES)

/** A file that is made with the first record, and closed with the LUN. */
export interface UndoFile extends UndoLog {
  /** The record of a write that did not end; undefined when there is none, or when it was not written to its end itself. */
  load(): Promise<UndoRecord | undefined>
}

export function undoFile(stateDirectory: string, target: string, lun: number): UndoFile {
  const folder = join(stateDirectory, FOLDER)
  const path = join(folder, `${encodeURIComponent(target)}.${lun}`)
  let file: FileHandle | undefined
  return {
    async load() {
      try {
        return decodeRecord(await readFile(path))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw new Error(`${path}, which tells whether a power cut has torn a write, cannot be read`, {
          cause: error,
        })
      }
    },
    async keep(record) {
      if (file === undefined) {
        mkdirSync(folder, { recursive: true, mode: FOLDER_MODE })
        file = await create(path)
      }
      await writeAll(file, encodeRecord(record))
    },
    async forget() {
      if (file !== undefined) return await writeAll(file, [NOTHING])
      await unlink(path)
      await syncDirectory(folder)
    },
    async close() {
      const open = file
      file = undefined
      await open?.close()
    },
  }
}

/** It is found after a power cut only when its folder, which may be new too, is on the disk. */
async function create(path: string): Promise<FileHandle> {
  const file = await open(path, 'w+', FILE_MODE)
  await syncDirectory(dirname(path))
  await syncDirectory(dirname(dirname(path)))
  return file
}

async function writeAll(file: FileHandle, chunks: readonly Buffer[]): Promise<void> {
  const bytes = Buffer.concat(chunks)
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at, bytes.length - at, at)).bytesWritten
  }
  await file.datasync()
}

function encodeRecord({ offset, before, after }: UndoRecord): readonly Buffer[] {
  const head = Buffer.alloc(HEAD_BYTES)
  MAGIC.copy(head)
  head.writeBigUInt64BE(BigInt(offset), OFFSET_AT)
  head.writeUInt32BE(before.length, LENGTH_AT)
  digestOf(head, before, after).copy(head, DIGEST_AT)
  return [head, before, after]
}

function decodeRecord(bytes: Buffer): UndoRecord | undefined {
  if (bytes.length < HEAD_BYTES || !bytes.subarray(0, OFFSET_AT).equals(MAGIC)) return undefined
  const length = bytes.readUInt32BE(LENGTH_AT)
  const before = bytes.subarray(HEAD_BYTES, HEAD_BYTES + length)
  const after = bytes.subarray(HEAD_BYTES + length, HEAD_BYTES + 2 * length)
  if (!bytes.subarray(DIGEST_AT, HEAD_BYTES).equals(digestOf(bytes, before, after))) return undefined
  return { offset: Number(bytes.readBigUInt64BE(OFFSET_AT)), before, after }
}

function digestOf(head: Buffer, before: Buffer, after: Buffer): Buffer {
  return createHash('sha256').update(head.subarray(0, DIGEST_AT)).update(before).update(after).digest()
}
