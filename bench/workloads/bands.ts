/** Many files of a sparsebundle's band size, read or written by one or several clients at a time. */

import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Protection } from './protection.ts'
import { makeRandomFile, requireSame } from './random-file.ts'
import { smbclientFed, smbclients, verifyProtection } from './smbclient.ts'
import { rowName } from './transfer.ts'
import { BYTES, type Ground, MEBIBYTE, type Workload } from './workload.ts'

const BAND_BYTES = 8 * MEBIBYTE
const BANDS = 200
const FOLDER = 'bands'
const WRITTEN_FOLDER = 'bands-written'
/** smbclient's line for each file that it has transferred. */
const READ_LINE = /getting file /g
const WRITTEN_LINE = /putting file /g

export interface BandsOf {
  readonly protection: Protection
  /** How many clients share the work. */
  readonly clients: number
  readonly mark: number
}

export function readBands(of: BandsOf): Workload {
  return {
    ...{ name: nameOf('read', of), mark: of.mark, unit: BYTES, prepare: (ground) => makeBands(ground, of) },
    async verify(ground, server) {
      await verifyProtection(ground, server, of.protection)
      const [first = ''] = bandNames(ground, of)
      const copy = join(ground.local, 'copy-of-band')
      await smbclientFed(ground, server, of.protection, [`get ${FOLDER}\\${first} ${copy}`])
      await requireSame(join(ground.data, FOLDER, first), copy)
      await rm(copy)
    },
    async run(ground, server) {
      const commands = shared(ground, of, (band) => `get ${FOLDER}\\${band} /dev/null`)
      const { outputs, seconds } = await smbclients(ground, server, of.protection, commands)
      requireCount(outputs, READ_LINE, bandNames(ground, of).length)
      return { amount: bandNames(ground, of).length * BAND_BYTES, seconds }
    },
  }
}

export function writeBands(of: BandsOf): Workload {
  const run: Workload['run'] = async (ground, server) => {
    const put = (band: string) => `put ${join(ground.data, FOLDER, band)} ${WRITTEN_FOLDER}\\${band}`
    const commands = shared(ground, of, put)
    const { outputs, seconds } = await smbclients(ground, server, of.protection, commands)
    requireCount(outputs, WRITTEN_LINE, bandNames(ground, of).length)
    return { amount: bandNames(ground, of).length * BAND_BYTES, seconds }
  }
  return {
    ...{ name: nameOf('write', of), mark: of.mark, unit: BYTES },
    async prepare(ground) {
      await makeBands(ground, of)
      await mkdir(join(ground.data, WRITTEN_FOLDER), { recursive: true })
    },
    async verify(ground, server) {
      await verifyProtection(ground, server, of.protection)
      await run(ground, server)
      for (const band of bandNames(ground, of)) {
        await requireSame(join(ground.data, FOLDER, band), join(ground.data, WRITTEN_FOLDER, band))
      }
      await removeWritten(ground)
    },
    async run(ground, server) {
      const result = await run(ground, server)
      for (const band of bandNames(ground, of)) {
        const { size } = await stat(join(ground.data, WRITTEN_FOLDER, band))
        if (size !== BAND_BYTES) throw new Error(`${size} bytes were written of a band`)
      }
      // At once, before the kernel begins to write them to the disk in the time of the next run.
      await removeWritten(ground)
      return result
    },
  }
}

function nameOf(what: string, { protection, clients }: BandsOf): string {
  return `${rowName(`${what} bands`, protection)}${clients === 1 ? '' : `, ${clients} clients`}`
}

/** 200, or fewer when all that is transferred is to be less than that. */
function bandNames({ fileBytes }: Ground, { protection }: Pick<BandsOf, 'protection'>): string[] {
  const all = Math.min(BANDS, Math.floor(fileBytes / BAND_BYTES))
  const count = Math.max(1, Math.floor(all * protection.part))
  return Array.from({ length: count }, (_, index) => index.toString(16))
}

/** The commands of each client. */
function shared(ground: Ground, of: BandsOf, command: (band: string) => string): string[][] {
  const { clients } = of
  return Array.from({ length: clients }, (_, client) =>
    bandNames(ground, of)
      .filter((_, index) => index % clients === client)
      .map(command),
  )
}

async function makeBands(ground: Ground, of: BandsOf): Promise<void> {
  const folder = join(ground.data, FOLDER)
  await mkdir(folder, { recursive: true })
  for (const band of bandNames(ground, of)) await makeRandomFile(join(folder, band), BAND_BYTES)
}

async function removeWritten(ground: Ground): Promise<void> {
  const folder = join(ground.data, WRITTEN_FOLDER)
  for (const band of await readdir(folder)) await rm(join(folder, band))
}

/** @throws Error when the clients tell of another number of things done */
export function requireCount(outputs: readonly string[], line: RegExp, expected: number): void {
  const count = outputs.reduce((all, output) => all + (output.match(line)?.length ?? 0), 0)
  if (count === expected) return
  const [last = ''] = outputs.slice(-1)
  throw new Error(`${count} were done of ${expected}; the output ends:\n${last.slice(-1000)}`)
}
