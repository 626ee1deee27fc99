/** The records of runs: what was measured, with every sample, for comparison with later ones. */

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { arch, cpus, release } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { ComparisonRow } from '../comparisons/comparison.ts'
import type { BrokenRow } from '../contest.ts'
import type { MicroRow } from '../micro/micro.ts'
import { summarizeComparison } from './comparison.ts'
import { summarizeMicro } from './micro.ts'
import { type Row, summarize } from './row.ts'

export interface RunDescription {
  readonly pairs: number
  readonly fileBytes: number
  readonly entries: number
  readonly files: number
}

/** All that a run has measured. */
export interface Measured {
  readonly rows: readonly Row[]
  readonly compared: readonly ComparisonRow[]
  readonly micros: readonly MicroRow[]
  readonly broken: readonly BrokenRow[]
}

/** What of an earlier run is compared with. */
const earlierRun = z.object({
  time: z.string(),
  rows: z.array(
    z.object({
      name: z.string(),
      summary: z.object({
        ratio: z.object({ median: z.number() }).optional(),
        refused: z.string().optional(),
      }),
    }),
  ),
})

export type EarlierRun = z.infer<typeof earlierRun>

const SUFFIX = '.json'

/** @returns the file's path */
export async function writeRecord(
  directory: string,
  { rows, compared, micros, broken }: Measured,
  description: RunDescription,
): Promise<string> {
  const time = new Date().toISOString()
  const machine = { node: process.version, kernel: release(), arch: arch(), processors: cpus().length }
  const fields = [
    ...Object.entries({ time, machine, ...description }).map(
      ([name, value]) => `"${name}": ${JSON.stringify(value)}`,
    ),
    list(
      'rows',
      rows.map((row) => ({ ...row, summary: summarize(row) })),
    ),
    list(
      'comparisons',
      compared.map((row) => ({ ...row, summary: summarizeComparison(row) })),
    ),
    list(
      'micros',
      micros.map((row) => ({ ...row, summary: summarizeMicro(row) })),
    ),
    list('broken', broken),
  ]
  await mkdir(directory, { recursive: true })
  const path = join(directory, `${time.replaceAll(':', '')}${SUFFIX}`)
  await writeFile(path, `{\n${fields.join(',\n')}\n}\n`)
  return path
}

/** One line for each row, so that versions of a file differ by rows. */
function list(name: string, values: readonly unknown[]): string {
  return `"${name}": [\n${values.map((value) => JSON.stringify(value)).join(',\n')}\n]`
}

/** The runs that were kept, the oldest first; what is no record is told and left out. */
export async function readRecords(directory: string, exceptPath: string): Promise<EarlierRun[]> {
  const names = await readdir(directory).catch(() => [])
  const runs: EarlierRun[] = []
  for (const name of names.filter((each) => each.endsWith(SUFFIX)).sort()) {
    const path = join(directory, name)
    if (path === exceptPath) continue
    try {
      runs.push(earlierRun.parse(JSON.parse(await readFile(path, 'utf8'))))
    } catch {
      console.log(`${path} is no record of a run, and is not compared with; remove it`)
    }
  }
  return runs
}
