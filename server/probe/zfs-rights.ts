/** zfs-allow(8): what a server that does not run as root needs to be allowed, dataset by dataset, and the command that allows it. */

import { type CommandRunner, ZfsError } from '../../storage/zfs/command.ts'
import { type Delegate, delegatedRights } from '../../storage/zfs/delegation.ts'
import { datasetAbove, SOURCE_PERMISSIONS, targetPermissions } from '../../storage/zfs/replication.ts'
import { CREATE_RIGHTS, growRights, readVolume } from '../../storage/zfs/volume.ts'
import type { Configuration } from '../config/types.ts'
import { configuredReplications } from '../zfs/share-replication.ts'

/** Snapshots that carry why they were made, are held, compared and thinned. Linux lets nobody but root mount; zfs wants the right all the same. */
const SNAPSHOT_RIGHTS = ['snapshot', 'userprop', 'hold', 'release', 'diff', 'destroy', 'mount']

/** Rights by dataset, each once, in the order in which they are met. Volumes that are long enough need none: they are opened. */
export async function neededRights(
  configuration: Configuration,
  run: CommandRunner,
): Promise<Map<string, string[]>> {
  const needed = new Map<string, string[]>()
  const need = (dataset: string, rights: readonly string[]): void => {
    if (rights.length > 0) needed.set(dataset, [...new Set([...(needed.get(dataset) ?? []), ...rights])])
  }
  for (const { dataset, maxSize } of configuration.shares) {
    if (dataset === undefined) continue
    need(dataset, SNAPSHOT_RIGHTS)
    if (maxSize !== undefined) need(dataset, ['refquota'])
  }
  for (const { dataset, table } of configuredReplications(configuration)) {
    need(dataset, SOURCE_PERMISSIONS)
    const { host, dataset: copy } = table.to
    if (host === undefined) need(datasetAbove(copy), targetPermissions(table.keep !== undefined))
  }
  for (const { zvol, size } of ownVolumes(configuration)) {
    // What cannot be read is told with the target.
    const volume = await readVolume(run, zvol).catch(() => 'unknown' as const)
    if (volume === undefined) need(datasetAbove(zvol), CREATE_RIGHTS)
    else if (volume !== 'unknown') need(zvol, growRights(volume, size))
  }
  return needed
}

/** Those that the server makes and grows. */
function ownVolumes({ iscsi, targets }: Configuration): { readonly zvol: string; readonly size: number }[] {
  const luns = iscsi.enabled ? targets.flatMap(({ lun }) => lun) : []
  return luns.flatMap(({ zvol, size, readOnly }) =>
    zvol === undefined || size === undefined || readOnly ? [] : [{ zvol, size }],
  )
}

/** @returns one message for each dataset where something is missing, in words for the owner */
export async function missingRights(
  configuration: Configuration,
  delegate: Delegate,
  run: CommandRunner,
): Promise<string[]> {
  const messages: string[] = []
  const homes = new Set(ownVolumes(configuration).map(({ zvol }) => datasetAbove(zvol)))
  for (const [dataset, needed] of await neededRights(configuration, run)) {
    try {
      const given = await delegatedRights(run, dataset, delegate)
      const missing = needed.filter((right) => !given.has(right))
      if (missing.length > 0) messages.push(describe(dataset, missing, delegate))
    } catch (error) {
      // That the dataset of a share, or zfs itself, is missing is told with the share.
      if (!(error instanceof ZfsError)) continue
      if (error.code === 'not-found') {
        if (homes.has(dataset)) messages.push(describeMissingHome(dataset))
        continue
      }
      messages.push(`the rights on "${dataset}" are not known: ${error.message}`)
    }
  }
  return messages
}

/** `create -p` mounts what it makes above. */
function describeMissingHome(dataset: string): string {
  return `there is no dataset "${dataset}" for the volumes to be made in it, and only root can make one; as root: zfs create -p ${dataset}`
}

function describe(dataset: string, missing: readonly string[], { user }: Delegate): string {
  const rights = missing.join(',')
  return `the user "${user}" may not ${missing.join(', ')} on "${dataset}"; as root: zfs allow ${user} ${rights} ${dataset}`
}
