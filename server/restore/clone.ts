/** Clones of snapshots beside what they are of: read-only shares and LUNs, with the lines of the configuration that serve them. */

import { dirname, join } from 'node:path'
import { type CommandRunner, runZfs } from '../../storage/zfs/command.ts'
import { readDataset, whyNotServable } from '../../storage/zfs/dataset.ts'
import { listSnapshots } from '../../storage/zfs/snapshot.ts'
import { readLocalProperties } from '../../storage/zfs/swap.ts'
import { done, failed, type Outcome } from '../outcome.ts'
import { findSnapshot } from './find-snapshot.ts'

export interface CloneRequest {
  readonly kind: 'share' | 'lun'
  /** Dataset or zvol. */
  readonly source: string
  readonly snapshot: string
  /** Of the share; for a LUN only the clone's. */
  readonly name: string
  /** For a LUN: the target's other ids, one of which it cannot have. */
  readonly usedIds?: readonly number[]
}

export interface Clone {
  readonly dataset: string
  readonly snapshot: string
  /** Lines for the configuration file. */
  readonly lines: readonly string[]
}

const NAME = /^[A-Za-z0-9][\w.:-]*$/

/** @throws ZfsError */
export async function makeClone(run: CommandRunner, request: CloneRequest): Promise<Outcome<Clone>> {
  const { kind, source, name } = request
  if (!NAME.test(name)) {
    return failed(`"${name}" cannot be a dataset's name; use letters, digits, "-", "_" and "."`)
  }
  const found = findSnapshot(await listSnapshots(run, source), request.snapshot, source)
  if (!found.ok) return found
  const parent = source.includes('/') ? source.slice(0, source.lastIndexOf('/')) : source
  const dataset = `${parent}/${name}`
  const options = kind === 'lun' ? ['readonly=on'] : await shareOptions(run, source, name)
  const set = options.flatMap((each) => ['-o', each])
  await runZfs(run, 'zfs', ['clone', ...set, `${source}@${found.value.name}`, dataset])
  if (kind === 'share') {
    const made = await readDataset(run, dataset)
    const reason = made === undefined ? `"${dataset}" was made and is not there` : whyNotServable(made)
    if (reason !== undefined) return failed(`${dataset} was made, but cannot be served yet: ${reason}`)
  }
  return done({ dataset, snapshot: found.value.name, lines: linesOf(request, dataset) })
}

/** A mount point of its own is not inherited by what stands beside. */
async function shareOptions(run: CommandRunner, source: string, name: string): Promise<string[]> {
  const mountpoint = (await readLocalProperties(run, source)).get('mountpoint')
  const place = mountpoint?.startsWith('/') ? [`mountpoint=${join(dirname(mountpoint), name)}`] : []
  return ['readonly=on', 'canmount=on', ...(source.includes('/') ? place : [])]
}

function linesOf({ kind, name, usedIds = [] }: CloneRequest, dataset: string): string[] {
  if (kind === 'share') {
    const quoted = JSON.stringify
    return ['[[share]]', `name = ${quoted(name)}`, `dataset = ${quoted(dataset)}`, 'read_only = true']
  }
  let id = 0
  while (usedIds.includes(id)) id++
  return ['[[target.lun]]', `id = ${id}`, `zvol = ${JSON.stringify(dataset)}`, 'read_only = true']
}
