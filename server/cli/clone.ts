/** `poolhouse snapshot clone`: a snapshot as a read-only share or LUN of its own. */

import type { CommandRunner } from '../../storage/zfs/command.ts'
import type { Configuration } from '../config/types.ts'
import { done, failed, type Outcome } from '../outcome.ts'
import { type CloneRequest, makeClone } from '../restore/clone.ts'
import { createCommandRunner } from '../zfs/run-command.ts'
import type { CommandContext, CommonOptions } from './context.ts'
import { ExitCode, fail, print } from './context.ts'
import { readConfiguration } from './read-configuration.ts'
import { datasetOf, findVolume } from './snapshot.ts'

export interface CloneOptions extends CommonOptions {
  readonly as: string
  readonly lun?: number
  /** Of a `per_user` share: whose dataset. */
  readonly user?: string
  readonly json?: boolean
}

type Source = Pick<CloneRequest, 'kind' | 'source' | 'usedIds'>

/** @param subject a share; with `options.lun` a target */
export async function cloneOne(
  context: CommandContext,
  subject: string,
  snapshot: string,
  options: CloneOptions,
  run: CommandRunner = createCommandRunner(),
): Promise<ExitCode> {
  const configuration = await readConfiguration(context, options)
  if (!configuration) return ExitCode.usage
  const source = findSource(configuration, subject, options)
  if (!source.ok) return fail(context, source.message)
  try {
    const clone = await makeClone(run, { ...source.value, snapshot, name: options.as })
    if (!clone.ok) return fail(context, clone.message)
    const { dataset, lines } = clone.value
    if (options.json) print(context, JSON.stringify(clone.value, undefined, 2))
    else {
      print(context, `${dataset} is a read-only clone of ${source.value.source}@${clone.value.snapshot}`)
      print(context, `to serve it, add this to ${placeOf(configuration, subject, options)}, and reload:`)
      for (const line of ['', ...lines, '']) print(context, line)
      print(context, `when it is not needed any longer: take the lines out, reload, zfs destroy ${dataset}`)
    }
    return ExitCode.done
  } catch (error) {
    return fail(context, (error as Error).message)
  }
}

function placeOf({ source }: Configuration, subject: string, { lun }: CloneOptions): string {
  const file = source ?? 'the configuration'
  return lun === undefined ? file : `the target "${subject}" in ${file}`
}

function findSource(
  configuration: Configuration,
  subject: string,
  { as, lun: id, user }: CloneOptions,
): Outcome<Source> {
  if (id === undefined) {
    const dataset = datasetOf(configuration, subject, user === undefined ? {} : { user })
    if (!dataset.ok) return dataset
    const taken = configuration.shares.some(({ name }) => name.toLowerCase() === as.toLowerCase())
    return taken ? failed(`there is a share "${as}" already`) : done({ kind: 'share', source: dataset.value })
  }
  const found = findVolume(configuration, subject, id)
  if (!found.ok) return found
  const { target, zvol } = found.value
  return done({ kind: 'lun', source: zvol, usedIds: target.lun.map((each) => each.id) })
}
