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
  /** The same of what their sparse bundles would take with full bands, where there are such. */
  bundles: z.record(z.string(), z.int().nonnegative()).optional(),
})

/** Bytes of one volume. */
export interface KeptUse {
  readonly used: number
  readonly bundleBytes: number
}

/** @returns nothing where the file is missing or cannot be understood: then all is counted first */
export async function readVolumeUse(
  stateDirectory: string,
  log: Logger,
): Promise<ReadonlyMap<string, KeptUse>> {
  try {
    const text = await readFile(join(stateDirectory, FILE), 'utf8')
    const { used, bundles } = fileSchema.parse(JSON.parse(text))
    return new Map(
      Object.entries(used).map(([key, bytes]) => [key, { used: bytes, bundleBytes: bundles?.[key] ?? 0 }]),
    )
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      log.warn({ err: error }, `${join(stateDirectory, FILE)} cannot be read; volumes are counted anew`)
    }
    return new Map()
  }
}

export async function writeVolumeUse(
  stateDirectory: string,
  volumes: ReadonlyMap<string, KeptUse>,
  log: Logger,
): Promise<void> {
  try {
    const used = Object.fromEntries(Array.from(volumes, ([key, use]) => [key, use.used]))
    const withBundles = [...volumes].filter(([, { bundleBytes }]) => bundleBytes > 0)
    const bundles = Object.fromEntries(withBundles.map(([key, { bundleBytes }]) => [key, bundleBytes]))
    const stored = { version: FORMAT_VERSION, used, bundles }
    await replaceFile(join(stateDirectory, FILE), `${JSON.stringify(stored)}\n`)
  } catch (error) {
    log.warn({ err: error }, `${join(stateDirectory, FILE)} cannot be written`)
  }
}
