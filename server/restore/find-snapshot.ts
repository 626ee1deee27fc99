/** The snapshot that somebody means: by its name, the time that is shown for it, or "latest". */

import type { SnapshotMoment } from '../../storage/zfs/snapshot.ts'
import { editDistance } from '../config/suggest.ts'
import { done, failed, type Outcome } from '../outcome.ts'

const LATEST = 'latest'
/** Names that are shown when none fits. */
const SUGGESTED = 5
const SECOND = 1000

/** @param what whose snapshots they are, for people */
export function findSnapshot<S extends SnapshotMoment>(
  snapshots: readonly S[],
  wanted: string,
  what: string,
): Outcome<S> {
  const [newest] = snapshots.toSorted((one, other) => other.created - one.created)
  if (newest === undefined) return failed(`${what} has no snapshots`)
  const name = wanted.slice(wanted.indexOf('@') + 1)
  const exact = snapshots.find((each) => each.name === name)
  if (exact !== undefined) return done(exact)
  if (name === LATEST) {
    // Of one second the last in the list is the newest.
    return done(snapshots.findLast(({ created }) => created === newest.created) ?? newest)
  }
  const atTime = takenAt(snapshots, name)
  const [only] = atTime
  if (only !== undefined && atTime.length === 1) return done(only)
  if (atTime.length > 1) {
    return failed(`${what} has several snapshots of ${wanted}; name one: ${namesOf(atTime)}`)
  }
  const near = snapshots
    .map((each) => ({ each, distance: editDistance(name.toLowerCase(), each.name.toLowerCase()) }))
    .sort((one, other) => one.distance - other.distance)
    .slice(0, SUGGESTED)
    .map(({ each }) => each)
  return failed(`${what} has no snapshot "${wanted}"; the nearest names are: ${namesOf(near)}`)
}

function namesOf(snapshots: readonly SnapshotMoment[]): string {
  return snapshots.map(({ name }) => name).join(', ')
}

/** A time such as 2026-11-23T10:15:07Z, with or without parts of seconds. */
function takenAt<S extends SnapshotMoment>(snapshots: readonly S[], text: string): S[] {
  const time = /^\d{4}-\d\d-\d\dT/.test(text) ? Math.floor(Date.parse(text) / SECOND) : Number.NaN
  return snapshots.filter(({ created }) => Math.floor(created / SECOND) === time)
}
