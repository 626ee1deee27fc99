/** What the micro rows cost, and how that grows with size. */

import Table from 'cli-table3'
import type { MicroRow } from '../micro/micro.ts'
import { SPREAD_LIMIT } from './row.ts'
import { median, quartileSpread } from './statistics.ts'

/** Most that a call may cost at 10 and 100 times the size, to what it costs at the smallest. */
const FLATNESS = 1.5
const NANOSECONDS_PER_SECOND = 1e9
const MEBIBYTE = 2 ** 20

export interface MicroSummary {
  readonly sizes: readonly {
    readonly label: string
    /** Nanoseconds of a call. */
    readonly cost: number
    /** MiB per second; undefined: calls have no bytes. */
    readonly rate: number | undefined
    /** Cost divided by that of the first size. */
    readonly growth: number
  }[]
  readonly refused: string | undefined
  readonly failures: readonly string[]
}

/** @param leniency as for rows: with 0.5 twice the growth is allowed */
export function summarizeMicro({ isFlat, sizes }: MicroRow, leniency = 1): MicroSummary {
  const [first] = sizes
  const shown = sizes.map(({ label, bytes, nanoseconds }) => {
    const cost = median(nanoseconds)
    const growths = nanoseconds.map((each, round) => each / (first?.nanoseconds[round] ?? Number.NaN))
    const rate = bytes === undefined ? undefined : (bytes / MEBIBYTE / cost) * NANOSECONDS_PER_SECOND
    return { label, cost, rate, growth: median(growths), spread: quartileSpread(growths) }
  })
  const unsteady = isFlat && shown.some(({ spread }) => spread > SPREAD_LIMIT)
  const limit = FLATNESS / leniency
  const grows = isFlat && !unsteady && shown.some(({ growth }) => growth > limit)
  return {
    sizes: shown.map(({ label, cost, rate, growth }) => ({ label, cost, rate, growth })),
    refused: unsteady ? 'rounds disagree' : undefined,
    failures: grows ? [`more than ${limit} times the cost`] : [],
  }
}

const HEAD = ['', 'size', 'ns/call', 'unit', 'ours', 'peer', 'growth', '']

export function renderMicros(rows: readonly MicroRow[], leniency = 1): string {
  const table = new Table({
    head: HEAD,
    style: { head: [], border: [], compact: true },
    colAligns: HEAD.map((_, column) => (column === 0 || column === HEAD.length - 1 ? 'left' : 'right')),
  })
  for (const row of rows) {
    const { sizes, refused, failures } = summarizeMicro(row, leniency)
    for (const [index, { label, cost, rate, growth }] of sizes.entries()) {
      const speed = rate === undefined ? NANOSECONDS_PER_SECOND / cost : rate
      table.push([
        ...[index === 0 ? row.name : '', sizes.length === 1 ? '' : label, cost.toFixed(0)],
        ...[rate === undefined ? 'calls/s' : 'MiB/s', speed.toFixed(0), ''],
        row.isFlat && refused === undefined ? growth.toFixed(2) : '',
        index === 0 ? verdict(row, { refused, failures }) : '',
      ])
    }
  }
  return table.toString()
}

function verdict(
  { isFlat }: MicroRow,
  { refused, failures }: Pick<MicroSummary, 'refused' | 'failures'>,
): string {
  if (!isFlat) return ''
  if (refused !== undefined) return `refused: ${refused}`
  return failures.length === 0 ? 'pass' : `FAIL: ${failures.join(', ')}`
}
