/** What was measured of a workload, and whether that meets the marks. */

import type { Run, Unit } from '../workloads/workload.ts'
import { median, quartileSpread } from './statistics.ts'

const PEAK_MARK_BYTES = 200 << 20
/** Pairs whose ratios lie further apart say nothing: quartile to quartile, as a part of the median. */
const SPREAD_LIMIT = 0.25

/** A run with what the server used for it. */
export interface Sample extends Run {
  readonly processorSeconds: number
  readonly peakBytes: number
}

/** Samples with the same index were taken one after the other. */
export interface Row {
  readonly name: string
  readonly unit: Unit
  /** The least ratio that is good enough. */
  readonly mark: number
  readonly ours: readonly Sample[]
  /** Empty: the peer is not installed. */
  readonly peer: readonly Sample[]
}

export interface Side {
  /** In the row's unit. */
  readonly rate: number
  /** Processor seconds of the server, per the row's unit. */
  readonly cost: number
  readonly peakBytes: number
}

export interface Summary {
  readonly ours: Side
  readonly peer: Side | undefined
  /** Ours divided by the peer's: above 1 is faster. */
  readonly ratio: { readonly median: number; readonly least: number; readonly most: number } | undefined
  /** Why the row misses its marks; empty when it does not. */
  readonly failures: readonly string[]
  /** The pairs disagree too much for the ratio to mean anything. */
  readonly unsteady: boolean
}

export function summarize(row: Row): Summary {
  const ours = side(row.ours, row.unit)
  const ratios = row.peer.map((sample, index) => rate(row.ours[index] as Sample) / rate(sample))
  const ratio =
    ratios.length === 0
      ? undefined
      : { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) }
  const failures: string[] = []
  if (ratio !== undefined && ratio.median < row.mark) failures.push(`ratio below ${row.mark}`)
  if (ours.peakBytes >= PEAK_MARK_BYTES) failures.push(`memory not below ${PEAK_MARK_BYTES >> 20} MiB`)
  return {
    ours,
    peer: row.peer.length === 0 ? undefined : side(row.peer, row.unit),
    ratio,
    failures,
    unsteady: ratio !== undefined && quartileSpread(ratios) > SPREAD_LIMIT,
  }
}

function side(samples: readonly Sample[], unit: Unit): Side {
  return {
    rate: median(samples.map(rate)) / unit.ratePer,
    cost: median(samples.map(({ processorSeconds, amount }) => processorSeconds / amount)) * unit.costPer,
    peakBytes: Math.max(...samples.map(({ peakBytes }) => peakBytes)),
  }
}

function rate({ amount, seconds }: Run): number {
  return amount / seconds
}
