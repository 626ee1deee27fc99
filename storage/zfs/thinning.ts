/** Which snapshots are kept: all young ones, then the last of each hour, day, week, month and year, each for a while. */

import type { Snapshot } from './snapshot.ts'

/** Counts are of calendar periods in UTC, the present one included; 0: none is kept for this period's sake. */
export interface ThinningPolicy {
  /** Everything younger is kept; milliseconds. */
  readonly keepAllFor: number
  readonly hourly: number
  readonly daily: number
  readonly weekly: number
  readonly monthly: number
  readonly yearly: number
  /** Of those that are kept, at most so many: the oldest go. undefined: any number. */
  readonly maximum: number | undefined
}

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** 1970 began on a Thursday; weeks begin on Monday. */
const THURSDAY = 3

type PeriodName = 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly'

/** The number of the period that a moment lies in. */
const PERIODS: Readonly<Record<PeriodName, (time: number) => number>> = {
  hourly: (time) => Math.floor(time / HOUR),
  daily: dayOf,
  weekly: (time) => Math.floor((dayOf(time) + THURSDAY) / 7),
  monthly: (time) => new Date(time).getUTCFullYear() * 12 + new Date(time).getUTCMonth(),
  yearly: (time) => new Date(time).getUTCFullYear(),
}
const PERIOD_NAMES = Object.keys(PERIODS) as PeriodName[]

function dayOf(time: number): number {
  return Math.floor(time / DAY)
}

/** What decides about a snapshot. */
export type Thinnable = Pick<Snapshot, 'name' | 'created' | 'isHeld' | 'reason'>

/**
 * What can go, oldest first. What others made, what is held and what is needed is not touched, and does not count.
 * @param now milliseconds since 1970; what is younger than that is kept
 * @param isNeeded replication would have to begin anew without it
 */
export function thin<S extends Thinnable>(
  snapshots: readonly S[],
  policy: ThinningPolicy,
  now: number,
  isNeeded: (snapshot: S) => boolean = () => false,
): S[] {
  const ours = thinnable(snapshots).filter((snapshot) => !isNeeded(snapshot))
  const kept = new Set(ours.filter(({ created }) => now - created < policy.keepAllFor))
  for (const name of PERIOD_NAMES) keepLastOfEach(ours, name, policy[name], now, kept)
  const surplus = Math.max(0, kept.size - (policy.maximum ?? Number.POSITIVE_INFINITY))
  const tooMany = new Set(ours.filter((snapshot) => kept.has(snapshot)).slice(0, surplus))
  return ours.filter((snapshot) => !kept.has(snapshot) || tooMany.has(snapshot))
}

/** What may go when room is wanted, oldest first: all that is ours and not held, but the newest. */
export function expendable<S extends Thinnable>(snapshots: readonly S[]): S[] {
  return thinnable(snapshots).slice(0, -1)
}

/** Ours, and not held; oldest first. */
function thinnable<S extends Thinnable>(snapshots: readonly S[]): S[] {
  return snapshots
    .filter(({ reason, isHeld }) => reason !== undefined && !isHeld)
    .sort((one, other) => one.created - other.created)
}

function keepLastOfEach<S extends Thinnable>(
  ours: readonly S[],
  name: PeriodName,
  count: number,
  now: number,
  kept: Set<S>,
): void {
  const periodOf = PERIODS[name]
  const last = new Map<number, S>()
  for (const snapshot of ours) last.set(periodOf(snapshot.created), snapshot)
  for (const [period, snapshot] of last) if (periodOf(now) - period < count) kept.add(snapshot)
}
