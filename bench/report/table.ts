/** The table that a run prints. */

import Table from 'cli-table3'
import { type Row, rangeText, type Side, type Summary, summarize } from './row.ts'

const HEAD = ['', 'unit', 'ours', 'peer', 'ratio', 'CPU s: ours', 'peer', 'per', 'MiB: ours', 'peer', '']

/** @param leniency as for `summarize` */
export function renderTable(rows: readonly Row[], leniency = 1): string {
  const table = new Table({
    head: HEAD,
    style: { head: [], border: [], compact: true },
    colAligns: [...HEAD.keys()].map((column) =>
      column === 0 || column === HEAD.length - 1 ? 'left' : 'right',
    ),
  })
  for (const row of rows) table.push(cells(row, leniency))
  return table.toString()
}

function cells(row: Row, leniency: number): string[] {
  const summary = summarize(row, leniency)
  const { ours, peer } = summary
  const of = (format: (side: Side) => string) => [format(ours), peer === undefined ? '' : format(peer)]
  return [
    ...[row.name, row.unit.name],
    ...of((side) => side.value.toFixed(0)),
    ratioText(summary),
    ...of(({ cost }) => cost?.toFixed(2) ?? ''),
    row.unit.cost?.name ?? '',
    ...of((side) => (side.peakBytes / 2 ** 20).toFixed(0)),
    verdict(summary),
  ]
}

export function ratioText({ ratio, refused }: Summary): string {
  return ratio === undefined ? '' : rangeText(ratio, refused)
}

export function verdict({ ratio, refused, failures }: Summary): string {
  const missed = failures.length === 0 ? [] : [`FAIL: ${failures.join(', ')}`]
  if (refused !== undefined) return [`refused: ${refused}`, ...missed].join('; ')
  if (missed.length > 0) return missed.join()
  return ratio === undefined ? 'no peer' : 'pass'
}
