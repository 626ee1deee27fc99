/** What was measured of two ways to do one thing, and whether the second costs little enough. */

import Table from 'cli-table3'
import type { ComparisonRow, CostedTake } from '../comparisons/comparison.ts'
import { LEAST_PAIRS, type Ratio, rangeText, SPREAD_LIMIT } from './row.ts'
import { median, quartileSpread } from './statistics.ts'

/** Most that the special way may take of the plain one's requests and time. */
const MARK = 1.5

export interface ComparisonSummary {
  /** Entries per second; NaN where there are no runs. */
  readonly plain: number
  readonly special: number
  readonly peer: number
  /** Special divided by plain: above 1 costs more. */
  readonly requests: number
  /** Of the server's processor time. */
  readonly processor: number
  readonly time: Ratio
  /** Empty when the row meets its mark. */
  readonly failures: readonly string[]
  /** Why the times say nothing; undefined when they do. */
  readonly refused: string | undefined
}

export function summarizeComparison({ plain, special, peer }: ComparisonRow): ComparisonSummary {
  const times = special.map(({ seconds }, index) => seconds / (plain[index] as CostedTake).seconds)
  const costs = special.map(
    ({ processorSeconds }, index) => processorSeconds / (plain[index] as CostedTake).processorSeconds,
  )
  const requests = sum(special) / sum(plain)
  const time = { median: median(times), least: Math.min(...times), most: Math.max(...times) }
  const refused = objection(times)
  return {
    ...{
      plain: rate(plain),
      special: rate(special),
      peer: rate(peer),
      requests,
      time,
      processor: median(costs),
    },
    failures: [
      ...(requests > MARK ? [`more than ${MARK} times the requests`] : []),
      ...(refused === undefined && time.median > MARK ? [`more than ${MARK} times the time`] : []),
    ],
    refused,
  }
}

function objection(times: readonly number[]): string | undefined {
  if (times.length < LEAST_PAIRS) return `fewer than ${LEAST_PAIRS} pairs`
  return quartileSpread(times) > SPREAD_LIMIT ? 'pairs disagree' : undefined
}

function sum(takes: readonly CostedTake[]): number {
  return takes.reduce((all, { requests }) => all + requests, 0)
}

function rate(takes: readonly CostedTake[]): number {
  return median(takes.map(({ amount, seconds }) => amount / seconds))
}

const HEAD = ['entries/s', 'plain', 'special', 'peer: plain', 'requests', 'CPU', 'time', '']

export function renderComparisons(rows: readonly ComparisonRow[]): string {
  const table = new Table({
    head: HEAD,
    style: { head: [], border: [], compact: true },
    colAligns: HEAD.map((_, column) => (column === 0 || column === HEAD.length - 1 ? 'left' : 'right')),
  })
  for (const row of rows) {
    const { plain, special, peer, requests, processor, time, failures, refused } = summarizeComparison(row)
    const missed = failures.length === 0 ? [] : [`FAIL: ${failures.join(', ')}`]
    const result = refused === undefined ? missed : [`refused: ${refused}`, ...missed]
    table.push([
      ...[row.name, plain.toFixed(0), special.toFixed(0), Number.isNaN(peer) ? '' : peer.toFixed(0)],
      ...[requests.toFixed(2), processor.toFixed(2)],
      rangeText(time, refused),
      result.length === 0 ? 'pass' : result.join('; '),
    ])
  }
  return table.toString()
}
