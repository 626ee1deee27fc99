/** Persistent reservations of LUNs (SPC-4 5.12.4, APTPL) over restarts: one file per target in the state directory. */

import { mkdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import type { PersistentRecord } from '../../protocols/iscsi/scsi/persistent-reservations.ts'
import type { ReservationStore } from '../../protocols/iscsi/scsi/target.ts'
import { replaceFile } from './atomic-file.ts'

const FOLDER = 'reservations'
const FOLDER_MODE = 0o700

const RECORD = z.object({
  registrations: z.array(
    z.object({
      initiatorPort: z.string().max(512),
      relativeTargetPort: z.number().int().min(0).max(0xffff),
      key: z.string().regex(/^[\da-f]{1,16}$/u),
    }),
  ),
  reservation: z.object({ type: z.number().int(), holder: z.string().optional() }).optional(),
})
const FILE = z.record(z.string().regex(/^\d{1,5}$/u), RECORD)

/** @throws Error when the file is there and cannot be read or understood: reservations must not be forgotten in silence */
export async function openReservations(stateDirectory: string, target: string): Promise<ReservationStore> {
  const folder = join(stateDirectory, FOLDER)
  mkdirSync(folder, { recursive: true, mode: FOLDER_MODE })
  const file = join(folder, `${encodeURIComponent(target)}.json`)
  const records = new Map(Object.entries(await recordsIn(file)))
  let work: Promise<void> = Promise.resolve()
  return {
    load: (unit) => records.get(String(unit)),
    save: (unit, record) => {
      if (record === undefined) records.delete(String(unit))
      else records.set(String(unit), record)
      // One after the other; each writes all that counts by then.
      work = work
        .catch(() => undefined)
        .then(() => replaceFile(file, `${JSON.stringify(Object.fromEntries(records))}\n`))
      return work
    },
  }
}

async function recordsIn(file: string): Promise<Record<string, PersistentRecord>> {
  try {
    return FILE.parse(JSON.parse(await readFile(file, 'utf8'))) as Record<string, PersistentRecord>
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new Error(
      `${file} is damaged, so who has reserved the target's disks is unknown; remove it to start without reservations`,
      { cause: error },
    )
  }
}
