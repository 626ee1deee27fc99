/** The table that a run prints. */

import Table from 'cli-table3'
import { type Row, type Side, type Summary, summarize } from './row.ts'

const HEAD = ['', 'unit', 'ours', 'peer', 'ratio', 'CPU s: ours', 'peer', 'per', 'MiB: ours', 'peer', '']

export function renderTable(rows: readonly Row[]): string {
  const table = new Table({
    head: HEAD,
    style: { head: [], border: [], compact: true },
    colAligns: [...HEAD.keys()].map((column) =>
      column === 0 || column === HEAD.length - 1 ? 'left' : 'right',
    ),
  })
  for (const row of rows) table.push(cells(row))
  return table.toString()
}

function cells(row: Row): string[] {
  const summary = summarize(row)
  const { ours, peer } = summary
  const of = (format: (side: Side) => string) => [format(ours), peer === undefined ? '' : format(peer)]
  return [
    ...[row.name, row.unit.rate],
    ...of((side) => side.rate.toFixed(0)),
    ratioCell(summary),
    ...of((side) => side.cost.toFixed(2)),
    row.unit.cost,
    ...of((side) => (side.peakBytes / 2 ** 20).toFixed(0)),
    verdict(summary),
  ]
}

function ratioCell({ ratio }: Summary): string {
  if (ratio === undefined) return ''
  return `${ratio.median.toFixed(2)} (${ratio.least.toFixed(2)}-${ratio.most.toFixed(2)})`
}

function verdict({ failures, unsteady }: Summary): string {
  const result = failures.length === 0 ? 'pass' : `FAIL: ${failures.join(', ')}`
  return unsteady ? `${result} (pairs disagree)` : result
}
