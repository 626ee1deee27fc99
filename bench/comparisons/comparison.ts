/** What a row of the second table measures: one thing done in two ways on this server, in turns, that must cost about the same. */

import type { RunningServer } from '../peers/peer.ts'
import { processorSeconds } from '../process-tree.ts'
import type { Ground } from '../workloads/workload.ts'

/** One timed run of one way. */
export interface Take {
  /** Entries. */
  readonly amount: number
  readonly requests: number
  readonly seconds: number
}

/** With what this server used for it: what else the machine does counts little in that. */
export interface CostedTake extends Take {
  readonly processorSeconds: number
}

export type Way = () => Promise<Take>

export interface Comparison {
  readonly name: string
  /** Makes files that are not there yet. */
  prepare(ground: Ground, ours: RunningServer): Promise<void>
  /** Connects; `peer` is the plain way on the other server. */
  begin(ground: Ground, ours: RunningServer, peer: RunningServer | undefined): Promise<Ways>
}

export interface Ways {
  readonly plain: Way
  readonly special: Way
  readonly peer: Way | undefined
  end(): void
}

export interface ComparisonRow {
  readonly name: string
  readonly plain: readonly CostedTake[]
  readonly special: readonly CostedTake[]
  /** Empty: the peer is not installed. */
  readonly peer: readonly CostedTake[]
}

/** Measures both ways in turns; each goes first every other time. The first, untimed, warms caches. */
export async function compare(
  comparison: Comparison,
  ground: Ground,
  { ours, peer }: { readonly ours: RunningServer; readonly peer: RunningServer | undefined },
  pairs: number,
): Promise<ComparisonRow> {
  await comparison.prepare(ground, ours)
  const ways = await comparison.begin(ground, ours, peer)
  try {
    const takes = { plain: [] as CostedTake[], special: [] as CostedTake[], peer: [] as CostedTake[] }
    const order = (['plain', 'special', 'peer'] as const).filter((name) => ways[name] !== undefined)
    for (const name of order) await ways[name]?.()
    for (let pair = 0; pair < pairs; pair++) {
      for (const name of pair % 2 === 0 ? order : order.toReversed()) {
        const before = processorSeconds(ours.pid)
        const take = await ways[name]?.()
        if (take === undefined) continue
        takes[name].push({ ...take, processorSeconds: processorSeconds(ours.pid) - before })
      }
    }
    return { name: comparison.name, ...takes }
  } finally {
    ways.end()
  }
}
