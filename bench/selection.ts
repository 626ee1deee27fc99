/** Which rows a run has: those of the names given, of whole protocols, or all. */

import { MICRO, type Micro, micros } from './micro/all.ts'
import { type Contest, contests } from './workloads/all.ts'

export interface Selection {
  readonly contests: readonly Contest[]
  readonly micros: readonly Micro[]
}

/** What can be asked for by name. */
export function knownNames(): string[] {
  const rows = contests.flatMap(({ protocol, workloads, comparisons }) => [
    protocol,
    ...[...workloads, ...comparisons].map(({ name }) => name),
  ])
  return [...rows, MICRO, ...micros.map(({ name }) => name)]
}

/**
 * @param wanted protocols, rows, or how names of rows begin where no row has just that name; empty: everything
 * @throws Error when there is no such row
 */
export function select(wanted: readonly string[]): Selection {
  const isWanted = chooser(wanted)
  return {
    contests: contests
      .map((contest) => ({
        ...contest,
        workloads: contest.workloads.filter(({ name }) => isWanted(contest.protocol, name)),
        comparisons: contest.comparisons.filter(({ name }) => isWanted(contest.protocol, name)),
      }))
      .filter(({ workloads, comparisons }) => workloads.length + comparisons.length > 0),
    micros: micros.filter(({ name }) => isWanted(MICRO, name)),
  }
}

/** As `select`, but of the rows whose names begin so, the first. */
export function selectFirst(beginnings: readonly string[]): Selection {
  const names = knownNames()
  return select(
    beginnings.map((beginning) => {
      const first = names.find((name) => name.startsWith(beginning))
      if (first === undefined) throw new Error(`there is no row ${beginning}`)
      return first
    }),
  )
}

function chooser(wanted: readonly string[]): (group: string, name: string) => boolean {
  if (wanted.length === 0) return () => true
  const names = knownNames()
  const exact = wanted.filter((one) => names.includes(one))
  const beginnings = wanted.filter((one) => !names.includes(one))
  const unknown = beginnings.filter((one) => !names.some((name) => name.startsWith(one)))
  if (unknown.length > 0) throw new Error(`there is no row ${unknown.join(', ')}`)
  return (group, name) =>
    exact.includes(group) || exact.includes(name) || beginnings.some((one) => name.startsWith(one))
}

/** Programs that the clients of these rows are. */
export function clientsOf({ contests: selected }: Selection): string[] {
  return selected.flatMap(({ clients }) => clients)
}
