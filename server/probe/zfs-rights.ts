/** zfs-allow(8): what a server that does not run as root needs to be allowed, dataset by dataset, and the command that allows it. */

import { type CommandRunner, ZfsError } from '../../storage/zfs/command.ts'
import { type Delegate, delegatedRights } from '../../storage/zfs/delegation.ts'
import { datasetAbove, SOURCE_PERMISSIONS, targetPermissions } from '../../storage/zfs/replication.ts'
import type { Configuration } from '../config/types.ts'
import { configuredReplications } from '../zfs/share-replication.ts'

/** Snapshots that carry why they were made, are held, compared and thinned. Linux lets nobody but root mount; zfs wants the right all the same. */
const SNAPSHOT_RIGHTS = ['snapshot', 'userprop', 'hold', 'release', 'diff', 'destroy', 'mount']

/** Rights by dataset, each once, in the order in which they are met. */
export function neededRights(configuration: Configuration): Map<string, string[]> {
  const needed = new Map<string, string[]>()
  const need = (dataset: string, rights: readonly string[]): void => {
    needed.set(dataset, [...new Set([...(needed.get(dataset) ?? []), ...rights])])
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
  return needed
}

/** @returns one message for each dataset where something is missing, in words for the owner */
export async function missingRights(
  configuration: Configuration,
  delegate: Delegate,
  run: CommandRunner,
): Promise<string[]> {
  const messages: string[] = []
  for (const [dataset, needed] of neededRights(configuration)) {
    try {
      const given = await delegatedRights(run, dataset, delegate)
      const missing = needed.filter((right) => !given.has(right))
      if (missing.length > 0) messages.push(describe(dataset, missing, delegate))
    } catch (error) {
      // That the dataset or zfs itself is missing is told with the share.
      if (!(error instanceof ZfsError) || error.code === 'not-found') continue
      messages.push(`the rights on "${dataset}" are not known: ${error.message}`)
    }
  }
  return messages
}

function describe(dataset: string, missing: readonly string[], { user }: Delegate): string {
  const rights = missing.join(',')
  return `the user "${user}" may not ${missing.join(', ')} on "${dataset}"; as root: zfs allow ${user} ${rights} ${dataset}`
}
