/** zfsprops(7): a dataset that is served: whether it is there, mounted and unlocked, and how much it may hold. */

import { type CommandRunner, parseNumber, parseRows, runZfs, ZfsError } from './command.ts'

export interface Dataset {
  readonly name: string
  /** undefined: `legacy` or `none`; where it is mounted then ZFS does not know. */
  readonly mountpoint: string | undefined
  readonly isMounted: boolean
  /** Its key is not loaded. */
  readonly isLocked: boolean
  /** Bytes that clients may fill; snapshots do not count. undefined: no limit. */
  readonly refquota: number | undefined
  /** Bytes that the live data takes. */
  readonly referenced: number
  /** Bytes that can still be written. */
  readonly available: number
}

const COLUMNS = 'name,mountpoint,mounted,keystatus,refquota,referenced,available'

/** @returns undefined when there is no such dataset @throws ZfsError */
export async function readDataset(run: CommandRunner, name: string): Promise<Dataset | undefined> {
  try {
    const [row] = parseRows(
      await runZfs(run, 'zfs', ['list', '-Hp', '-t', 'filesystem', '-o', COLUMNS, name]),
    )
    return row === undefined ? undefined : datasetOf(row)
  } catch (error) {
    if (error instanceof ZfsError && error.code === 'not-found') return undefined
    throw error
  }
}

function datasetOf(row: readonly string[]): Dataset {
  const [name = '', mountpoint = '', mounted, keyStatus, refquota, referenced, available] = row
  return {
    name,
    mountpoint: mountpoint.startsWith('/') ? mountpoint : undefined,
    isMounted: mounted === 'yes',
    isLocked: keyStatus === 'unavailable',
    refquota: parseNumber(refquota) || undefined,
    referenced: parseNumber(referenced) ?? 0,
    available: parseNumber(available) ?? 0,
  }
}

/** What suits files of clients; bundles of Time Machine are written in large pieces. */
const PROPERTIES = ['compression=lz4', 'atime=off', 'xattr=sa', 'acltype=posix']
const BUNDLE_PROPERTIES = ['recordsize=1M']

export interface NewDataset {
  readonly name: string
  readonly isTimeMachine: boolean
  /** Absent: it is inherited. */
  readonly mountpoint?: string
}

/** Makes a dataset and those above it, and mounts it. @throws ZfsError */
export async function createDataset(run: CommandRunner, dataset: NewDataset): Promise<void> {
  const { name, isTimeMachine, mountpoint } = dataset
  const properties = [...PROPERTIES, ...(isTimeMachine ? BUNDLE_PROPERTIES : [])]
  if (mountpoint !== undefined) properties.push(`mountpoint=${mountpoint}`)
  await runZfs(run, 'zfs', ['create', '-p', ...properties.flatMap((each) => ['-o', each]), name])
}

/** Names of the datasets directly below one. @throws ZfsError */
export async function listChildren(run: CommandRunner, name: string): Promise<string[]> {
  const options = ['-H', '-t', 'filesystem', '-d', '1', '-o', 'name']
  const rows = parseRows(await runZfs(run, 'zfs', ['list', ...options, name]))
  return rows.flatMap(([child = name]) => (child === name ? [] : [child]))
}

/**
 * Sets how much clients may fill. It is the refquota: with a quota, snapshots would eat the clients' room.
 * @param bytes undefined: no limit
 * @throws ZfsError
 */
export async function setRefquota(
  run: CommandRunner,
  name: string,
  bytes: number | undefined,
): Promise<void> {
  await runZfs(run, 'zfs', ['set', `refquota=${bytes ?? 'none'}`, name])
}

/** Why a dataset cannot be served, with what to do; undefined: it can. */
export function whyNotServable(dataset: Dataset): string | undefined {
  const { name, mountpoint, isMounted, isLocked } = dataset
  if (isLocked)
    return `the dataset "${name}" is locked; load its key: zfs load-key ${name} && zfs mount ${name}`
  if (mountpoint === undefined) {
    return `the dataset "${name}" has no mount point of its own; set one: zfs set mountpoint=/${name} ${name}`
  }
  return isMounted ? undefined : `the dataset "${name}" is not mounted; mount it: zfs mount ${name}`
}

/**
 * The dataset that a path would be on, were it mounted.
 *
 * @returns undefined when the path is where it belongs: on a dataset that is mounted, or none of ours
 * @throws ZfsError
 */
export async function findUnmounted(run: CommandRunner, path: string): Promise<Dataset | undefined> {
  const columns = 'name,mountpoint,mounted,canmount'
  const rows = parseRows(await runZfs(run, 'zfs', ['list', '-H', '-t', 'filesystem', '-o', columns]))
  const above = rows.filter(([, mountpoint = '']) => isAbove(mountpoint, path))
  const longest = Math.max(0, ...above.map(([, mountpoint = '']) => mountpoint.length))
  const nearest = above.filter(([, mountpoint = '']) => mountpoint.length === longest)
  if (nearest.some(([, , mounted]) => mounted === 'yes')) return undefined
  const [name] = nearest.find(([, , , canmount]) => canmount === 'on') ?? []
  return name === undefined ? undefined : await readDataset(run, name)
}

function isAbove(mountpoint: string, path: string): boolean {
  return (
    mountpoint.startsWith('/') && path.startsWith(mountpoint.endsWith('/') ? mountpoint : `${mountpoint}/`)
  )
}
