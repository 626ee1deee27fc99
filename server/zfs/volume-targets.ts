/** Targets on ZFS: volumes are made where they are missing, grown as configured, and served once their disks are there; files only where they belong. */

import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CommandRunner, ZfsError } from '../../storage/zfs/command.ts'
import { findUnmounted, whyNotServable } from '../../storage/zfs/dataset.ts'
import { ZVOL_FOLDER } from '../../storage/zfs/mounts.ts'
import { createVolume, growVolume, readVolume } from '../../storage/zfs/volume.ts'
import type { Configuration, TargetConfiguration } from '../config/types.ts'
import { type PathProbe, whySuspended } from './pool-state.ts'

type LunConfiguration = TargetConfiguration['lun'][number]

/** udev makes the links a moment after the volume. */
const UDEV_MILLISECONDS = 15_000
const LOOK_MILLISECONDS = 100

/** Where the disk of a volume is. */
export function volumePath(zvol: string): string {
  return `${ZVOL_FOLDER}/${zvol}`
}

/** Files and devices that a LUN is on, but a volume by its name. */
export function lunPaths({ path, extents = [] }: LunConfiguration): string[] {
  return [...(path === undefined ? [] : [path]), ...extents.map((extent) => extent.path)]
}

/** Resolves once a file is there. @returns false when it did not come in time */
export type FileWaiter = (path: string) => Promise<boolean>

export const waitForDevice: FileWaiter = async (path) => {
  const looks = UDEV_MILLISECONDS / LOOK_MILLISECONDS
  for (let look = 0; look < looks; look += 1) {
    if (await isThere(path)) return true
    await sleep(LOOK_MILLISECONDS)
  }
  return await isThere(path)
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

export interface PreparedVolumes {
  readonly configuration: Configuration
  /** Targets whose volumes are not as configured: left out, or served as they were before. */
  readonly failures: readonly {
    readonly target: string
    readonly isServed: boolean
    readonly message: string
  }[]
  /** What is otherwise than configured, and harms nobody. */
  readonly notes: readonly { readonly target: string; readonly message: string }[]
}

/**
 * Makes and grows the volumes of all targets. One that cannot be had costs its own target alone, and not even that when
 * it is served: a pool that does not answer is no reason to send its initiators away.
 *
 * @param served targets as they are served at this moment
 */
export async function prepareVolumes(
  configuration: Configuration,
  run: CommandRunner,
  served: readonly TargetConfiguration[],
  wait: FileWaiter = waitForDevice,
  suspended: PathProbe = whySuspended,
): Promise<PreparedVolumes> {
  if (!configuration.iscsi.enabled) return { configuration, failures: [], notes: [] }
  const targets: TargetConfiguration[] = []
  const failures: PreparedVolumes['failures'][number][] = []
  const notes: PreparedVolumes['notes'][number][] = []
  for (const target of configuration.targets) {
    try {
      for (const lun of target.lun) {
        const reason = await whyUnusable(lun, run, suspended)
        if (reason !== undefined) throw new Error(reason)
        const note = lun.zvol === undefined ? undefined : await prepareVolume(lun, lun.zvol, run, wait)
        if (note !== undefined) notes.push({ target: target.name, message: note })
      }
      targets.push(target)
    } catch (error) {
      const before = served.find(({ name }) => name === target.name)
      if (before !== undefined) targets.push(before)
      failures.push({
        target: target.name,
        isServed: before !== undefined,
        message: (error as Error).message,
      })
    }
  }
  return { configuration: { ...configuration, targets }, failures, notes }
}

/** Why the files of a LUN must not be opened; they are not touched. @throws ZfsError when a pool does not answer */
export async function whyUnusable(
  lun: LunConfiguration,
  run: CommandRunner,
  suspended: PathProbe = whySuspended,
): Promise<string | undefined> {
  for (const path of lunPaths(lun)) {
    const reason = await suspended(path)
    if (reason !== undefined) return reason
  }
  return await whyMisplaced(lun, run)
}

/**
 * Why the missing file of a LUN is not made: below the mount point of a dataset that is not mounted it would be
 * another, empty disk.
 *
 * @throws ZfsError when a pool does not answer
 */
async function whyMisplaced(
  { path, size, readOnly }: LunConfiguration,
  run: CommandRunner,
): Promise<string | undefined> {
  if (path === undefined || size === undefined || readOnly || (await isThere(path))) return undefined
  const dataset = await findUnmounted(run, path).catch((error: unknown) => {
    // Without zfs, its module or access to it there is nothing to find; a pool that hangs has something.
    if (error instanceof ZfsError && error.code === 'timed-out') throw error
    return undefined
  })
  const reason = dataset && whyNotServable(dataset)
  return reason === undefined ? undefined : `${path} is missing, and ${reason}`
}

/** @returns what is otherwise than configured @throws Error in words for the owner */
async function prepareVolume(
  lun: LunConfiguration,
  name: string,
  run: CommandRunner,
  wait: FileWaiter,
): Promise<string | undefined> {
  const { size, volblocksize, readOnly } = lun
  const known = await readVolume(run, name)
  if (known === undefined) {
    if (size === undefined || readOnly)
      throw new Error(`there is no volume "${name}"; set size (and not read_only) to have it made`)
    await createVolume(run, { name, size, volblocksize })
  } else if (known.isLocked) {
    throw new Error(`the volume "${name}" is locked; load its key: zfs load-key ${name}`)
  } else if (size !== undefined && !readOnly) {
    await growVolume(run, known, size)
  }
  const path = volumePath(name)
  if (!(await wait(path))) {
    throw new Error(`the volume "${name}" has no disk at ${path}; is udev running, and volmode not none?`)
  }
  if (known === undefined || volblocksize === undefined || known.volblocksize === volblocksize)
    return undefined
  return `the volume "${name}" was made with a volblocksize of ${known.volblocksize}, which cannot be changed to ${volblocksize}`
}
