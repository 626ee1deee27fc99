/** zfs-allow(8): which rights a user has on a dataset without being root. */

import { type CommandRunner, runZfs } from './command.ts'

export interface Delegate {
  readonly user: string
  /** Names of all its groups. */
  readonly groups: readonly string[]
}

const HEADING = /^-+ Permissions on (\S+) -*$/
/** By the heading above the lines: whether they hold on the dataset of the block itself, and on those below. */
const SCOPES: ReadonlyMap<string, { readonly itself: boolean; readonly below: boolean }> = new Map([
  ['Local+Descendent permissions:', { itself: true, below: true }],
  ['Local permissions:', { itself: true, below: false }],
  ['Descendent permissions:', { itself: false, below: true }],
])
const SETS = 'Permission sets:'

/** @returns names of rights, sets of them taken apart @throws ZfsError */
export async function delegatedRights(
  run: CommandRunner,
  dataset: string,
  delegate: Delegate,
): Promise<ReadonlySet<string>> {
  return rightsIn(await runZfs(run, 'zfs', ['allow', dataset]), dataset, delegate)
}

/** @param output of `zfs allow`: a block for the dataset and for each above it that gives rights */
export function rightsIn(output: string, dataset: string, delegate: Delegate): ReadonlySet<string> {
  const sets = new Map<string, string[]>()
  const given: string[] = []
  let [of, heading] = ['', '']
  for (const line of output.split('\n')) {
    const block = HEADING.exec(line)
    if (block !== null) of = block[1] ?? ''
    else if (!line.startsWith('\t')) heading = line.trim()
    else if (heading === SETS) addSet(sets, line.trim())
    else if (holds(heading, of === dataset)) given.push(...rightsOfLine(line.trim(), delegate))
  }
  return expanded(given, sets)
}

function holds(heading: string, isItself: boolean): boolean {
  const scope = SCOPES.get(heading)
  return scope !== undefined && (isItself ? scope.itself : scope.below)
}

/** `user ann create,mount`, `group staff snapshot`, `everyone diff`. */
function rightsOfLine(line: string, { user, groups }: Delegate): string[] {
  const words = line.split(/\s+/)
  const rights = (words.at(-1) ?? '').split(',')
  const isMeant =
    words[0] === 'everyone' ||
    (words[0] === 'user' && words[1] === user) ||
    (words[0] === 'group' && groups.includes(words[1] ?? ''))
  return isMeant ? rights : []
}

function addSet(sets: Map<string, string[]>, line: string): void {
  const [name = '', rights = ''] = line.split(/\s+/)
  sets.set(name, [...(sets.get(name) ?? []), ...rights.split(',')])
}

/** Sets may hold sets; each is taken once. */
function expanded(
  given: readonly string[],
  sets: ReadonlyMap<string, readonly string[]>,
): ReadonlySet<string> {
  const rights = new Set<string>()
  const add = (names: readonly string[]): void => {
    for (const name of names) {
      if (rights.has(name)) continue
      rights.add(name)
      add(sets.get(name) ?? [])
    }
  }
  add(given)
  return rights
}
