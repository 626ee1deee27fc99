/** All that is told of a run: tables, a record, a plot, and how many rows passed. */

import { join } from 'node:path'
import { projectRoot } from '../../test/interop/paths.ts'
import { renderComparisons, summarizeComparison } from './comparison.ts'
import { type Measured, type RunDescription, readRecords, writeRecord } from './json.ts'
import { renderMicros, summarizeMicro } from './micro.ts'
import { writePlot } from './plot.ts'
import { summarize } from './row.ts'
import { renderTable } from './table.ts'

/** Records that are kept with the sources. */
const HISTORY = join(projectRoot, 'bench', 'history')
/** Those of all other runs, which are nobody's business. */
const OUT = join(projectRoot, 'bench', 'out')
const PLOT = 'ratios.svg'

export interface ReportOptions {
  readonly description: RunDescription
  readonly keep: boolean
  /** The part of its mark that a row must reach, 0 to 1. */
  readonly leniency: number
}

/** @returns how many rows failed */
export async function report(
  measured: Measured,
  { description, keep, leniency }: ReportOptions,
): Promise<number> {
  const { rows, compared, micros, broken } = measured
  if (rows.length > 0) console.log(renderTable(rows, leniency))
  if (compared.length > 0) console.log(renderComparisons(compared))
  if (micros.length > 0) console.log(renderMicros(micros, leniency))
  for (const { name, error } of broken) console.log(`FAIL bench: ${name} could not be measured: ${error}`)
  const directory = keep ? HISTORY : OUT
  const record = await writeRecord(directory, measured, description)
  console.log(`written to ${record}`)
  if (rows.some(({ peer }) => peer.length > 0)) {
    const plot = join(directory, PLOT)
    await writePlot(plot, rows, await readRecords(HISTORY, record))
    console.log(`drawn in ${plot}`)
  }
  return tell(measured, leniency)
}

function tell({ rows, compared, micros, broken }: Measured, leniency: number): number {
  const summaries = [
    ...rows.map((row) => ({ name: row.name, ...summarize(row, leniency) })),
    ...compared.map((row) => ({ name: row.name, ...summarizeComparison(row) })),
    ...micros.map((row) => ({ name: row.name, ...summarizeMicro(row, leniency) })),
  ]
  const missed = summaries.filter(({ failures }) => failures.length > 0)
  // As the suites say it, for whoever reads the output of many steps.
  for (const { name, failures } of missed) console.log(`FAIL bench: ${name}: ${failures.join(', ')}`)
  const failed = missed.length + broken.length
  const refused = summaries.filter(({ failures, refused }) => failures.length === 0 && refused !== undefined)
  if (refused.length > 0) console.log(`${refused.length} rows were refused: measure them again`)
  console.log(`bench: ${summaries.length - missed.length - refused.length} passed, ${failed} failed`)
  return failed
}
