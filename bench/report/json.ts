/** The record of a run, for comparison with later ones. */

import { mkdir, writeFile } from 'node:fs/promises'
import { arch, cpus, release } from 'node:os'
import { join } from 'node:path'
import type { ComparisonRow } from '../comparisons/comparison.ts'
import { summarizeComparison } from './comparison.ts'
import { type Row, summarize } from './row.ts'

export interface RunDescription {
  readonly pairs: number
  readonly fileBytes: number
  readonly entries: number
}

/** @returns the file's path */
export async function writeRecord(
  directory: string,
  rows: readonly Row[],
  compared: readonly ComparisonRow[],
  description: RunDescription,
): Promise<string> {
  const time = new Date().toISOString()
  const machine = { node: process.version, kernel: release(), arch: arch(), processors: cpus().length }
  const record = {
    time,
    machine,
    ...description,
    rows: rows.map((row) => ({ ...row, summary: summarize(row) })),
    comparisons: compared.map((row) => ({ ...row, summary: summarizeComparison(row) })),
  }
  await mkdir(directory, { recursive: true })
  const path = join(directory, `${time.replaceAll(':', '')}.json`)
  await writeFile(path, `${JSON.stringify(record, undefined, 2)}\n`)
  return path
}
