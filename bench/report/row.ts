/** What was measured of a workload, and whether that meets the marks. */

import type { Run, Unit } from '../workloads/workload.ts'
import { median, quartileSpread } from './statistics.ts'

const PEAK_MARK_BYTES = 200 << 20
/** Pairs whose ratios lie further apart say nothing: quartile to quartile, as a part of the median. */
export const SPREAD_LIMIT = 0.25
/** Fewer pairs cannot be seen to disagree. */
export const LEAST_PAIRS = 3

/** A run with what the server used for it. */
export interface Sample extends Run {
  readonly processorSeconds: number
  readonly peakBytes: number
}

/** Samples with the same index were taken one after the other. */
export interface Row {
  readonly name: string
  readonly unit: Unit
  /** The ratio that is good enough: the least of a rate, the most of an amount. */
  readonly mark: number
  readonly ours: readonly Sample[]
  /** Empty: the peer is not installed. */
  readonly peer: readonly Sample[]
}

export interface Side {
  /** In the row's unit. */
  readonly value: number
  /** Processor seconds of the server, per what the row's unit says; undefined where that says nothing. */
  readonly cost: number | undefined
  readonly peakBytes: number
}

/** Ours divided by the peer's. */
export interface Ratio {
  readonly median: number
  readonly least: number
  readonly most: number
}

export interface Summary {
  readonly ours: Side
  readonly peer: Side | undefined
  readonly ratio: Ratio | undefined
  /** Why the ratio means nothing, and the mark is neither met nor missed; undefined when it does, or there is no peer. */
  readonly refused: string | undefined
  /** Why the row misses its marks; empty when it does not. */
  readonly failures: readonly string[]
}

/** The median with the least and the most; of pairs that say nothing these two alone. */
export function rangeText({ median, least, most }: Ratio, refused: string | undefined): string {
  const ends = `(${least.toFixed(2)}-${most.toFixed(2)})`
  return refused === undefined ? `${median.toFixed(2)} ${ends}` : ends
}

/** @param leniency 1: the marks as they are; 0.5: half a mark is enough, and twice what may be used */
export function summarize(row: Row, leniency = 1): Summary {
  const ours = side(row.ours, row.unit)
  const ratios = row.peer.map(
    (sample, index) => value(row.ours[index] as Sample, row.unit) / value(sample, row.unit),
  )
  const ratio =
    ratios.length === 0
      ? undefined
      : { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) }
  const refused = objection(ratios)
  const failures: string[] = []
  if (ratio !== undefined && refused === undefined) failures.push(...missed(row, ratio.median, leniency))
  const peakMark = PEAK_MARK_BYTES / leniency
  if (ours.peakBytes >= peakMark) failures.push(`memory not below ${peakMark / 2 ** 20} MiB`)
  return {
    ...{ ours, ratio, refused, failures },
    peer: row.peer.length === 0 ? undefined : side(row.peer, row.unit),
  }
}

/** Why these ratios say nothing. */
function objection(ratios: readonly number[]): string | undefined {
  if (ratios.length === 0) return undefined
  if (ratios.length < LEAST_PAIRS) return `fewer than ${LEAST_PAIRS} pairs`
  return quartileSpread(ratios) > SPREAD_LIMIT ? 'pairs disagree' : undefined
}

function missed({ unit, mark }: Row, ratio: number, leniency: number): string[] {
  if (unit.measure === 'amount') {
    const most = mark / leniency
    return ratio > most ? [`ratio above ${most}`] : []
  }
  const least = mark * leniency
  return ratio < least ? [`ratio below ${least}`] : []
}

function side(samples: readonly Sample[], unit: Unit): Side {
  const costs = samples.map(({ processorSeconds, amount }) => processorSeconds / amount)
  return {
    value: median(samples.map((sample) => value(sample, unit))) / unit.per,
    cost: unit.cost === undefined ? undefined : median(costs) * unit.cost.per,
    peakBytes: Math.max(...samples.map(({ peakBytes }) => peakBytes)),
  }
}

function value({ amount, seconds }: Run, { measure }: Unit): number {
  return measure === 'rate' ? amount / seconds : amount
}
