/** Durable opens (MS-SMB2 3.3.1.10) over restarts: a log of JSON lines in the state directory, that is rewritten now and then. */

import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import type { DurableRecord, DurableStore } from '../../protocols/smb2/state/durable-store.ts'
import type { Log } from '../../protocols/smb2/state/server.ts'
import { replaceFile } from './atomic-file.ts'

const FILE_NAME = 'durable-handles.jsonl'
const FILE_MODE = 0o600
/** The log is rewritten when it has this many lines more than twice what counts. */
const SPARE_LINES = 1024

const hexadecimal = z.string().regex(/^[\da-f]{1,32}$/u)
const decimal = z.string().regex(/^\d{1,20}$/u)
const bits = z.number().int().min(0).max(0xffff_ffff)
const milliseconds = z.number().min(0)

const RECORD = z.object({
  id: hexadecimal,
  durable: z.object({ version: z.literal([1, 2]), timeout: milliseconds, owner: z.string() }),
  createGuid: hexadecimal.optional(),
  share: z.string(),
  path: z.string(),
  stream: z.string(),
  volumeId: decimal,
  fileId: decimal,
  grantedAccess: bits,
  maximalAccess: bits,
  shareAccess: bits,
  createOptions: bits,
  posix: z.boolean(),
  sharesAsPosix: z.boolean().default(false),
  createAction: bits,
  mode: bits,
  currentByteOffset: decimal,
  deleteOnClose: z.boolean(),
  deletePending: z.boolean(),
  lease: z
    .object({
      clientGuid: hexadecimal,
      leaseKey: hexadecimal,
      parentLeaseKey: hexadecimal.optional(),
      version: z.literal([1, 2]),
      leaseState: bits,
      epoch: bits,
    })
    .optional(),
  locks: z.array(z.object({ offset: decimal, length: decimal, exclusive: z.boolean() })),
  lockSequences: z.array(z.tuple([bits, bits])),
  creationTime: milliseconds,
  absentSince: milliseconds.optional(),
})
/** What takes a record back. */
const END = z.object({ id: hexadecimal, over: z.literal(true) })

export interface DurableHandleFile extends DurableStore {
  /** Of the run before. */
  readonly records: readonly DurableRecord[]
  /** Resolves when all is written. */
  close(): Promise<void>
}

/** @throws Error when the file cannot be read. A line that is damaged or cut short is passed over */
export async function openDurableHandles(stateDirectory: string, log: Log): Promise<DurableHandleFile> {
  const file = join(stateDirectory, FILE_NAME)
  const records = recordsIn(await textOf(file))
  const lines = new Map(Array.from(records.values(), (record) => [record.id, JSON.stringify(record)]))
  const writer = new LogWriter(file, lines, log)
  await writer.start()
  return {
    records: [...records.values()],
    write: (kept, forgotten) => writer.write(kept, forgotten),
    close: () => writer.close(),
  }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

function recordsIn(text: string): Map<string, DurableRecord> {
  const records = new Map<string, DurableRecord>()
  for (const line of text.split('\n')) {
    const value = parsed(line)
    const over = END.safeParse(value)
    const record = RECORD.safeParse(value)
    if (over.success) records.delete(over.data.id)
    else if (record.success) records.set(record.data.id, record.data as DurableRecord)
  }
  return records
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** Writes one batch after the other. */
class LogWriter {
  readonly #file: string
  readonly #log: Log
  /** What counts, by id. */
  readonly #lines: Map<string, string>
  #handle: FileHandle | undefined
  /** Lines in the file. */
  #length = 0
  #batch: string[] = []
  #work: Promise<void> = Promise.resolve()
  #hasFailed = false

  constructor(file: string, lines: Map<string, string>, log: Log) {
    this.#file = file
    this.#lines = lines
    this.#log = log
  }

  /** A full disk keeps no server from starting. */
  async start(): Promise<void> {
    await this.#trying(() => this.#rewrite())
  }

  write(kept: readonly DurableRecord[], forgotten: readonly string[]): void {
    if (this.#batch.length === 0) this.#work = this.#work.then(() => this.#append())
    for (const id of forgotten) {
      this.#lines.delete(id)
      this.#batch.push(JSON.stringify({ id, over: true }))
    }
    for (const record of kept) {
      const line = JSON.stringify(record)
      this.#lines.set(record.id, line)
      this.#batch.push(line)
    }
  }

  async close(): Promise<void> {
    await this.#work
    await this.#handle?.close()
    this.#handle = undefined
  }

  async #append(): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    await this.#trying(async () => {
      const isLong = this.#length + batch.length > 2 * this.#lines.size + SPARE_LINES
      if (this.#handle === undefined || isLong) return this.#rewrite()
      // Not forced to the disk: that a process ends does not harm what it has written.
      await this.#handle.appendFile(batch.map((line) => `${line}\n`).join(''))
      this.#length += batch.length
    })
  }

  /** After a failure all is written anew, as nobody knows what the file has. */
  async #trying(work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.#hasFailed = false
    } catch (error) {
      if (!this.#hasFailed) this.#log('warn', 'durable opens will not survive a restart', { error })
      this.#hasFailed = true
      await this.#handle?.close().catch(() => undefined)
      this.#handle = undefined
    }
  }

  /** What counts alone, in a new file. */
  async #rewrite(): Promise<void> {
    const lines = [...this.#lines.values()]
    await replaceFile(this.#file, lines.map((line) => `${line}\n`).join(''))
    await this.#handle?.close()
    this.#handle = undefined
    this.#handle = await open(this.#file, 'a', FILE_MODE)
    this.#length = lines.length
  }
}
