/** zfs-clone(8), zfs-promote(8), zfs-rename(8): a dataset goes back to a snapshot, and nothing is destroyed: what it was stays whole beside it. */

import { type CommandRunner, parseRows, runZfs } from './command.ts'
import { type Dataset, readDataset } from './dataset.ts'
import { REASON_PROPERTY, snapshotName } from './snapshot.ts'

/** Set on the dataset itself, by name. */
export type LocalProperties = ReadonlyMap<string, string>

/** What a clone takes from its snapshot, or has by the swap itself; others can be told when it is made. */
const NOT_CARRIED = new Set([
  ...['canmount', 'encryption', 'keyformat', 'keylocation', 'pbkdf2iters', 'version', 'utf8only'],
  ...['casesensitivity', 'normalization', 'origin'],
])
/** What snapshots or both datasets together would exceed; moved when the old dataset has given them up. */
const MOVED_LAST = ['quota', 'reservation', 'refreservation'] as const
const BEFORE = '-before-restore-'
const RESTORED = '-restored-'

/** @throws ZfsError */
export async function readLocalProperties(run: CommandRunner, dataset: string): Promise<LocalProperties> {
  const args = ['get', '-Hp', '-s', 'local,received', '-o', 'property,value', 'all', dataset]
  return new Map(
    parseRows(await runZfs(run, 'zfs', args)).map(([name = '', value = '']) => [name, value] as const),
  )
}

/** Bytes written since the newest snapshot, with all that is still in memory. @throws ZfsError */
export async function writtenSince(run: CommandRunner, dataset: string): Promise<number> {
  const [pool = dataset] = dataset.split('/')
  await runZfs(run, 'zpool', ['sync', pool])
  return Number((await runZfs(run, 'zfs', ['get', '-Hp', '-o', 'value', 'written', dataset])).trim())
}

/** Datasets below it. @throws ZfsError */
export async function childrenOf(run: CommandRunner, dataset: string): Promise<string[]> {
  const rows = parseRows(
    await runZfs(run, 'zfs', ['list', '-H', '-r', '-t', 'filesystem,volume', '-o', 'name', dataset]),
  )
  return rows.map(([name = '']) => name).filter((name) => name !== dataset)
}

/** One command, and what takes it back. */
export interface SwapStep {
  readonly command: readonly string[]
  /** In this order. */
  readonly undo: readonly (readonly string[])[]
}

export interface Swap {
  readonly dataset: string
  readonly snapshot: string
  /** The name that the present dataset gets. */
  readonly kept: string
  /** Of the snapshot of the present state. */
  readonly before: string
  /** Each can be taken back; when they are done, the dataset is mounted with what the snapshot holds. */
  readonly steps: readonly SwapStep[]
  /** What follows; the dataset can be used without. */
  readonly finish: readonly (readonly string[])[]
}

export interface SwapRequest {
  readonly dataset: Pick<Dataset, 'name' | 'mountpoint'>
  readonly snapshot: string
  readonly properties: LocalProperties
  /** Milliseconds since 1970. */
  readonly now: number
}

/** Makes the list of commands; gives none. */
export function planSwap({ dataset, snapshot, properties, now }: SwapRequest): Swap {
  const { name, mountpoint = '' } = dataset
  const moment = snapshotName(now, '')
  const kept = `${name}${BEFORE}${moment}`
  const clone = `${name}${RESTORED}${moment}`
  const before = `before-restore-${moment}`
  const canmount = properties.get('canmount') ?? 'on'
  const readonly = properties.get('readonly')
  const writable =
    readonly === undefined ? ['inherit', 'readonly', name] : ['set', `readonly=${readonly}`, name]
  const carried = [...properties].filter(
    ([property]) => !NOT_CARRIED.has(property) && !MOVED_LAST.some((last) => last === property),
  )
  const options = ['canmount=noauto', ...carried.map(([property, value]) => `${property}=${value}`)]
  const hasOwnMountpoint = properties.has('mountpoint')
  const moveMountpoint: SwapStep = {
    command: ['set', `mountpoint=${mountpoint}${BEFORE}${moment}`, name],
    undo: [['set', `mountpoint=${mountpoint}`, name]],
  }
  const steps: SwapStep[] = [
    {
      command: ['snapshot', '-o', `${REASON_PROPERTY}=restore`, `${name}@${before}`],
      undo: [['destroy', `${name}@${before}`]],
    },
    {
      command: ['clone', ...options.flatMap((each) => ['-o', each]), `${name}@${snapshot}`, clone],
      undo: [['destroy', clone]],
    },
    { command: ['unmount', name], undo: [['mount', name]] },
    { command: ['promote', clone], undo: [['promote', name]] },
    {
      command: ['set', 'canmount=noauto', 'readonly=on', name],
      undo: [['set', `canmount=${canmount}`, name], writable],
    },
    ...(hasOwnMountpoint ? [moveMountpoint] : []),
    { command: ['rename', name, kept], undo: [['rename', kept, name]] },
    { command: ['rename', clone, name], undo: [['rename', name, clone]] },
    { command: ['mount', name], undo: [['unmount', name]] },
  ]
  const last = MOVED_LAST.filter((property) => properties.has(property))
  const finish = [
    ['set', `canmount=${canmount}`, name],
    ...last.flatMap((property) => [
      ['set', `${property}=none`, kept],
      ['set', `${property}=${properties.get(property)}`, name],
    ]),
  ]
  return { dataset: name, snapshot, kept, before, steps, finish }
}

/** What came of it. `remaining`: commands that somebody has to give by hand, in this order. */
export type SwapResult =
  | { readonly ok: true; readonly remaining: readonly string[]; readonly message?: string }
  | { readonly ok: false; readonly remaining: readonly string[]; readonly message: string }

/** Gives the commands. When one fails, those before it are taken back, the last first. */
export async function runSwap(run: CommandRunner, swap: Swap): Promise<SwapResult> {
  for (const [index, { command }] of swap.steps.entries()) {
    const message = await whyNot(run, command)
    if (message === undefined) continue
    const undo = swap.steps
      .slice(0, index)
      .reverse()
      .flatMap((step) => step.undo)
    return { ok: false, ...(await giveAll(run, undo)), message }
  }
  return { ok: true, ...(await giveAll(run, swap.finish)) }
}

/** Stops at the first that fails: the next ones build on it. */
async function giveAll(
  run: CommandRunner,
  commands: readonly (readonly string[])[],
): Promise<{ remaining: string[]; message?: string }> {
  for (const [index, command] of commands.entries()) {
    const message = await whyNot(run, command)
    if (message !== undefined)
      return { remaining: commands.slice(index).map((each) => `zfs ${each.map(quoted).join(' ')}`), message }
  }
  return { remaining: [] }
}

/** For a shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

async function whyNot(run: CommandRunner, args: readonly string[]): Promise<string | undefined> {
  try {
    await runZfs(run, 'zfs', args)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** What an interrupted swap has left of a dataset that is missing: it must not be made anew. @throws ZfsError */
export async function findInterrupted(run: CommandRunner, dataset: string): Promise<string | undefined> {
  const parent = dataset.slice(0, dataset.lastIndexOf('/'))
  if (parent === '' || (await readDataset(run, parent)) === undefined) return undefined
  const rows = parseRows(
    await runZfs(run, 'zfs', ['list', '-H', '-d', '1', '-t', 'filesystem', '-o', 'name', parent]),
  )
  return rows.map(([name = '']) => name).find((name) => name.startsWith(`${dataset}${RESTORED}`))
}
