/** zfs-send(8), zfs-receive(8): what is to be sent next, decided by guids from the snapshots and bookmarks of both sides. */

import { REASON_PROPERTY, type SnapshotReason } from './snapshot.ts'
import { type ThinningPolicy, thin } from './thinning.ts'

/** A bookmark, or what a snapshot and its copy on another pool have in common: the guid. Names may differ. */
export interface ReplicaPoint {
  /** Behind the `@` or `#`. */
  readonly name: string
  readonly guid: string
  /** When it was made on its own pool: points of one dataset are in this order. */
  readonly createtxg: number
  /** Milliseconds since 1970, whole seconds. */
  readonly created: number
}

export interface ReplicaSnapshot extends ReplicaPoint {
  /** Tags of its holds. */
  readonly holds: readonly string[]
  /** undefined: not made by us, or not yet known to be. */
  readonly reason: SnapshotReason | undefined
}

/** One side's dataset. Snapshots and bookmarks are in the order in which they were made. */
export interface ReplicaState {
  readonly name: string
  readonly snapshots: readonly ReplicaSnapshot[]
  readonly bookmarks: readonly ReplicaPoint[]
  /** What an interrupted receive left: how to go on. */
  readonly resumeToken: string | undefined
  /** Bytes that changed since the newest snapshot. */
  readonly written: number
  /** Clients cannot change it. */
  readonly isReadOnly: boolean
}

export interface BasePoint {
  readonly kind: 'snapshot' | 'bookmark'
  readonly name: string
}

/** One stream. What is still missing after it, the next plan says. */
export type ReplicationPlan =
  | { readonly kind: 'full'; readonly to: string }
  | { readonly kind: 'incremental'; readonly base: BasePoint; readonly to: string }
  | { readonly kind: 'resume'; readonly token: string }
  | { readonly kind: 'up-to-date'; readonly common: string }
  | { readonly kind: 'refused'; readonly reason: string }

/**
 * What to send, so that the target gets all snapshots of the source that are newer than its own newest, in their order.
 * The target is never rolled back: what it has and the source has not is a reason to refuse.
 * @param target undefined: there is no such dataset
 */
export function planReplication(source: ReplicaState, target: ReplicaState | undefined): ReplicationPlan {
  if (target?.resumeToken !== undefined) return { kind: 'resume', token: target.resumeToken }
  const [oldest] = source.snapshots
  const reached = target?.snapshots.at(-1)
  if (target === undefined || reached === undefined) {
    if (target !== undefined) return refused(whyNotEmpty(target))
    return oldest === undefined ? refused(whyNothing(source)) : { kind: 'full', to: oldest.name }
  }
  const base = findBase(source, reached)
  if (base === undefined) return refused(whyDiverged(source, target, reached))
  if (target.written > 0) return refused(whyWritten(target, reached))
  const missing = source.snapshots.filter(({ createtxg }) => createtxg > base.createtxg)
  const [next] = missing
  if (next === undefined) return { kind: 'up-to-date', common: base.name }
  const { kind, name } = base
  // Only a stream that begins at a snapshot can hold more than one.
  const to = kind === 'bookmark' ? next : (missing.at(-1) ?? next)
  return { kind: 'incremental', base: { kind, name }, to: to.name }
}

function refused(reason: string): ReplicationPlan {
  return { kind: 'refused', reason }
}

function findBase(source: ReplicaState, reached: ReplicaPoint): (BasePoint & ReplicaPoint) | undefined {
  const isSame = ({ guid }: ReplicaPoint): boolean => guid === reached.guid
  const snapshot = source.snapshots.find(isSame)
  if (snapshot !== undefined) return { ...snapshot, kind: 'snapshot' }
  const bookmark = source.bookmarks.find(isSame)
  return bookmark === undefined ? undefined : { ...bookmark, kind: 'bookmark' }
}

function whyNothing({ name }: ReplicaState): string {
  return `"${name}" has no snapshot to send; take one: zfs snapshot ${name}@first`
}

function whyNotEmpty({ name }: ReplicaState): string {
  return (
    `the target "${name}" is there and holds no snapshot, so it is no copy; ` +
    `choose a name that is free below an existing dataset, or remove it: zfs destroy ${name}`
  )
}

function whyWritten({ name, written }: ReplicaState, reached: ReplicaPoint): string {
  return (
    `the target "${name}" has changed by ${written} bytes since its snapshot ${reached.name}; ` +
    `keep them under another name, or give them up: zfs rollback ${name}@${reached.name}; and then zfs set readonly=on ${name}`
  )
}

function whyDiverged(source: ReplicaState, target: ReplicaState, reached: ReplicaPoint): string {
  const known = new Set([...source.snapshots, ...source.bookmarks].map(({ guid }) => guid))
  const common = target.snapshots.findLast(({ guid }) => known.has(guid))
  const fault = `the newest snapshot of the target, ${target.name}@${reached.name}, is unknown to "${source.name}"`
  return common === undefined
    ? `${fault}, and so are its others: it is no copy of it; choose another target`
    : `${fault}; the last that both have is ${common.name}: keep what is newer under another name, or give it up: ` +
        `zfs rollback -r ${target.name}@${common.name}`
}

/** The tag of holds on both sides: who would have to begin anew without the snapshot. */
export function holdTag(target: string): string {
  return `poolhouse:${target}`
}

/** Bookmarks for one target begin like this: the target, with what a name cannot hold as `_` and two hexadecimal digits. */
export function bookmarkPrefix(target: string): string {
  const digits = (character: string): string => `_${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  return `poolhouse:${target.replaceAll(/[^A-Za-z0-9.:-]/g, digits)}:`
}

/** Words for zfs, for one of the sides. */
export interface SideCommand {
  readonly side: 'source' | 'target'
  readonly args: readonly string[]
}

/**
 * What makes the next stream possible, once the target has its newest snapshot: that is held on both sides, and bookmarked on the
 * source in case someone destroys it there all the same. What was held for the target before is released, after that.
 * @param id names the target; the same each time
 */
export function settle(source: ReplicaState, target: ReplicaState, id: string): SideCommand[] {
  const reached = target.snapshots.at(-1)
  if (reached === undefined) return []
  const tag = holdTag(id)
  const prefix = bookmarkPrefix(id)
  const isReached = ({ guid }: ReplicaPoint): boolean => guid === reached.guid
  const sent = source.snapshots.find(isReached)
  const isBookmarked = source.bookmarks.some((each) => isReached(each) && each.name.startsWith(prefix))
  return [
    ...holdUnheld('target', target.name, reached, tag),
    ...(sent === undefined ? [] : holdUnheld('source', source.name, sent, tag)),
    ...(sent === undefined || isBookmarked ? [] : [bookmark(source.name, sent, prefix)]),
    ...releaseOthers('target', target, tag, isReached),
    ...releaseOthers('source', source, tag, isReached),
    ...source.bookmarks
      .filter((each) => each.name.startsWith(prefix) && !isReached(each))
      .map(({ name }) => ({ side: 'source' as const, args: ['destroy', `${source.name}#${name}`] })),
  ]
}

type SideName = SideCommand['side']

function holdUnheld(side: SideName, dataset: string, { name, holds }: ReplicaSnapshot, tag: string) {
  return holds.includes(tag) ? [] : [{ side, args: ['hold', tag, `${dataset}@${name}`] }]
}

function bookmark(dataset: string, { name, guid }: ReplicaPoint, prefix: string): SideCommand {
  return { side: 'source', args: ['bookmark', `${dataset}@${name}`, `${dataset}#${prefix}${guid}`] }
}

function releaseOthers(
  side: SideName,
  { name: dataset, snapshots }: ReplicaState,
  tag: string,
  isReached: (point: ReplicaPoint) => boolean,
): SideCommand[] {
  return snapshots
    .filter((snapshot) => snapshot.holds.includes(tag) && !isReached(snapshot))
    .map(({ name }) => ({ side, args: ['release', tag, `${dataset}@${name}`] }))
}

/** Why snapshots of the target were made is not in a stream: for its retention they are marked as they are on the source. */
export function markReasons(source: ReplicaState, target: ReplicaState): SideCommand[] {
  const reasons = new Map(source.snapshots.map(({ guid, reason }) => [guid, reason]))
  return target.snapshots.flatMap(({ name, guid, reason: known }) => {
    const reason = reasons.get(guid)
    if (reason === undefined || reason === known) return []
    return [{ side: 'target', args: ['set', `${REASON_PROPERTY}=${reason}`, `${target.name}@${name}`] }]
  })
}

/** What a policy lets go on the target; the newest stays in any case, since the next stream begins there. */
export function thinReplica(target: ReplicaState, policy: ThinningPolicy, now: number): ReplicaSnapshot[] {
  const reached = target.snapshots.at(-1)
  const thinnable = target.snapshots.map((each) => ({ ...each, isHeld: each.holds.length > 0 }))
  return thin(thinnable, policy, now, ({ guid }) => guid === reached?.guid)
}

/** How a stream is made of a plan. -w: as it is on the disk, so encrypted data needs no key on either side; the rest as it is, too. */
export function sendArguments(
  dataset: string,
  plan: Extract<ReplicationPlan, { kind: 'full' | 'incremental' | 'resume' }>,
): string[] {
  if (plan.kind === 'resume') return ['-t', plan.token]
  const to = `${dataset}@${plan.to}`
  if (plan.kind === 'full') return ['-w', to]
  const { kind, name } = plan.base
  return kind === 'bookmark' ? ['-w', '-i', `${dataset}#${name}`, to] : ['-w', '-I', `${dataset}@${name}`, to]
}

/** What a user without root needs on a dataset (zfs-allow(8)), and why not more: nobody mounts what is received. */
export const SOURCE_PERMISSIONS = ['send', 'hold', 'release', 'bookmark', 'snapshot', 'destroy', 'mount']
const TARGET_PERMISSIONS = ['receive', 'create', 'mount', 'hold', 'release', 'readonly']
/** With `keep`: marks what was made by us, and destroys it. */
const RETENTION_PERMISSIONS = ['destroy', 'userprop']

export function targetPermissions(hasRetention: boolean): string[] {
  return [...TARGET_PERMISSIONS, ...(hasRetention ? RETENTION_PERMISSIONS : [])]
}

/** The dataset that another one lies in, or a pool itself: what is received is made there. */
export function datasetAbove(dataset: string): string {
  return dataset.includes('/') ? dataset.slice(0, dataset.lastIndexOf('/')) : dataset
}

export interface ReplicationPermissions {
  /** For both sides, the commands that root gives once. */
  readonly source: string
  readonly target: string
}

/** @param target the dataset that is received; the permissions are given on the one above it, which must exist */
export function permissionsNeeded(
  source: string,
  target: string,
  user: { readonly source: string; readonly target: string },
  hasRetention: boolean,
): ReplicationPermissions {
  const received = targetPermissions(hasRetention)
  return {
    source: `zfs allow -u ${user.source} ${SOURCE_PERMISSIONS.join(',')} ${source}`,
    target: `zfs allow -u ${user.target} ${received.join(',')} ${datasetAbove(target)}`,
  }
}
