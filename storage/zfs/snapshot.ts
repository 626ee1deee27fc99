/** zfs-snapshot(8), zfs-hold(8): snapshots of one dataset, told apart from those that others made. */

import { type CommandRunner, parseNumber, parseRows, runZfs } from './command.ts'

/** Marks snapshots that are ours to thin, with why they were made. */
export const REASON_PROPERTY = 'poolhouse:reason'

export const SNAPSHOT_REASONS = ['backup', 'schedule', 'manual', 'restore'] as const
export type SnapshotReason = (typeof SNAPSHOT_REASONS)[number]

export interface Snapshot {
  /** Behind the `@`. */
  readonly name: string
  /** Milliseconds since 1970, whole seconds. */
  readonly created: number
  /** Bytes that its destruction alone would free. */
  readonly used: number
  readonly referenced: number
  /** Somebody holds it, or it has a clone: it cannot be destroyed. */
  readonly isHeld: boolean
  /** undefined: not made here. */
  readonly reason: SnapshotReason | undefined
}

const COLUMNS = `name,creation,used,referenced,userrefs,${REASON_PROPERTY},clones`
const MILLISECONDS = 1000

/** Oldest first. @throws ZfsError */
export async function listSnapshots(run: CommandRunner, dataset: string): Promise<Snapshot[]> {
  const options = ['-Hp', '-t', 'snapshot', '-d', '1', '-s', 'creation', '-o', COLUMNS]
  return parseRows(await runZfs(run, 'zfs', ['list', ...options, dataset])).map(snapshotOf)
}

/** Names of the datasets directly below one that have a snapshot. @throws ZfsError */
export async function listSnapshottedChildren(run: CommandRunner, dataset: string): Promise<string[]> {
  const options = ['-H', '-t', 'snapshot', '-d', '2', '-o', 'name']
  const rows = parseRows(await runZfs(run, 'zfs', ['list', ...options, dataset]))
  const names = rows.map(([path = '']) => path.slice(0, path.indexOf('@')))
  return [...new Set(names)].filter((name) => name !== dataset)
}

/** When a snapshot was made. */
export type SnapshotMoment = Pick<Snapshot, 'name' | 'created'>

/** Oldest first, those of one second in the order in which they were made. Costs much less than the whole list. @throws ZfsError */
export async function listSnapshotMoments(run: CommandRunner, dataset: string): Promise<SnapshotMoment[]> {
  const sorted = ['-s', 'creation', '-s', 'createtxg']
  const options = ['-Hp', '-t', 'snapshot', '-d', '1', ...sorted, '-o', 'name,creation']
  return parseRows(await runZfs(run, 'zfs', ['list', ...options, dataset])).map(([path = '', creation]) => ({
    name: path.slice(path.indexOf('@') + 1),
    created: (parseNumber(creation) ?? 0) * MILLISECONDS,
  }))
}

function snapshotOf(row: readonly string[]): Snapshot {
  const [path = '', creation, used, referenced, holds, reason, clones = ''] = row
  return {
    name: path.slice(path.indexOf('@') + 1),
    created: (parseNumber(creation) ?? 0) * MILLISECONDS,
    used: parseNumber(used) ?? 0,
    referenced: parseNumber(referenced) ?? 0,
    isHeld: (parseNumber(holds) ?? 0) > 0 || (clones !== '' && clones !== '-'),
    reason: SNAPSHOT_REASONS.find((known) => known === reason),
  }
}

export interface NewSnapshot {
  readonly name: string
  readonly reason: SnapshotReason
}

/** @throws ZfsError 'exists' when the name is taken */
export async function createSnapshot(
  run: CommandRunner,
  dataset: string,
  { name, reason }: NewSnapshot,
): Promise<void> {
  await runZfs(run, 'zfs', ['snapshot', '-o', `${REASON_PROPERTY}=${reason}`, `${dataset}@${name}`])
}

/** @throws ZfsError 'busy' when it is held or has a clone */
export async function destroySnapshot(run: CommandRunner, dataset: string, name: string): Promise<void> {
  await runZfs(run, 'zfs', ['destroy', `${dataset}@${name}`])
}

/** Nobody can destroy it until it is released. @throws ZfsError 'exists' when it is held under this tag */
export async function holdSnapshot(run: CommandRunner, path: string, tag: string): Promise<void> {
  await runZfs(run, 'zfs', ['hold', tag, path])
}

/** @throws ZfsError */
export async function releaseSnapshot(run: CommandRunner, path: string, tag: string): Promise<void> {
  await runZfs(run, 'zfs', ['release', tag, path])
}

export type ChangeKind = 'added' | 'removed' | 'modified' | 'renamed'

/** A difference between a snapshot and the live data. */
export interface SnapshotChange {
  readonly kind: ChangeKind
  /** From the root of this machine. */
  readonly path: string
  /** Of what was renamed. */
  readonly to?: string
}

const CHANGE_KINDS: Readonly<Record<string, ChangeKind>> = {
  '+': 'added',
  '-': 'removed',
  M: 'modified',
  R: 'renamed',
}
/** zfs-diff(8) writes spaces, backslashes and bytes that are not ASCII as a backslash and four octal digits. */
const ESCAPED = /(?:\\0[0-7]{3})+/g

/** What has changed since a snapshot. @throws ZfsError */
export async function diffSnapshot(
  run: CommandRunner,
  dataset: string,
  name: string,
): Promise<SnapshotChange[]> {
  const rows = parseRows(await runZfs(run, 'zfs', ['diff', '-H', `${dataset}@${name}`]))
  return rows.flatMap(([mark = '', path = '', to]) => {
    const kind = CHANGE_KINDS[mark]
    if (kind === undefined) return []
    return [{ kind, path: unescapePath(path), ...(to === undefined ? {} : { to: unescapePath(to) }) }]
  })
}

function unescapePath(path: string): string {
  return path.replace(ESCAPED, (run) => {
    const bytes = run
      .split('\\')
      .slice(1)
      .map((digits) => Number.parseInt(digits, 8))
    return Buffer.from(bytes).toString('utf8')
  })
}

/** `2026-11-23_1015Z_annas-macbook`: readable, sorted by time, and allowed in a snapshot's name. */
export function snapshotName(time: number, about: string): string {
  const iso = new Date(time).toISOString()
  const moment = `${iso.slice(0, 10)}_${iso.slice(11, 13)}${iso.slice(14, 16)}${iso.slice(17, 19)}Z`
  const words = about
    .normalize('NFKD')
    .replaceAll(/[^A-Za-z0-9.-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, LONGEST_ABOUT)
  return words === '' ? moment : `${moment}_${words.toLowerCase()}`
}

const LONGEST_ABOUT = 60
