/** What a row of the second table measures: one thing done in two ways on this server, in turns, that must cost about the same. */

import type { RunningServer } from '../peers/peer.ts'
import type { Ground } from '../workloads/workload.ts'

/** One timed run of one way. */
export interface Take {
  /** Entries. */
  readonly amount: number
  readonly requests: number
  readonly seconds: number
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
  readonly plain: readonly Take[]
  readonly special: readonly Take[]
  /** Empty: the peer is not installed. */
  readonly peer: readonly Take[]
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
    const row = { name: comparison.name, plain: [] as Take[], special: [] as Take[], peer: [] as Take[] }
    const order = (['plain', 'special', 'peer'] as const).filter((name) => ways[name] !== undefined)
    for (const name of order) await ways[name]?.()
    for (let pair = 0; pair < pairs; pair++) {
      for (const name of pair % 2 === 0 ? order : order.toReversed()) {
        const take = await ways[name]?.()
        if (take !== undefined) row[name].push(take)
      }
    }
    return row
  } finally {
    ways.end()
  }
}
