/** What volumes with a limit were found to take, so that the next run keeps their limits before it has counted anew. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import type { Logger } from '../logging/logger.ts'
import { replaceFile } from './atomic-file.ts'

const FORMAT_VERSION = 1
const FILE = 'volume-use.json'

const fileSchema = z.strictObject({
  version: z.literal(FORMAT_VERSION),
  /** Bytes, by what distinguishes volumes. */
  used: z.record(z.string(), z.int().nonnegative()),
})

/** @returns nothing where the file is missing or cannot be understood: then all is counted first */
export async function readVolumeUse(
  stateDirectory: string,
  log: Logger,
): Promise<ReadonlyMap<string, number>> {
  try {
    const text = await readFile(join(stateDirectory, FILE), 'utf8')
    return new Map(Object.entries(fileSchema.parse(JSON.parse(text)).used))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      log.warn({ err: error }, `${join(stateDirectory, FILE)} cannot be read; volumes are counted anew`)
    }
    return new Map()
  }
}

export async function writeVolumeUse(
  stateDirectory: string,
  used: ReadonlyMap<string, number>,
  log: Logger,
): Promise<void> {
  try {
    const stored = { version: FORMAT_VERSION, used: Object.fromEntries(used) }
    await replaceFile(join(stateDirectory, FILE), `${JSON.stringify(stored)}\n`)
  } catch (error) {
    log.warn({ err: error }, `${join(stateDirectory, FILE)} cannot be written`)
  }
}
