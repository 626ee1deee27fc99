/** MS-FSA 2.1.5.1: from a path to the entry it names, through links that stay inside, with search permission on the way. */

import type { StorageErrorCode } from '../errors.ts'
import type { Identity } from '../file-system.ts'
import { toNative } from '../names/sfm.ts'
import { componentError } from '../names/valid.ts'
import type { Entry, MemoryNode } from './node.ts'
import { Access, allows } from './permissions.ts'

/** SYMLOOP_MAX of Linux. */
const MAXIMUM_LINKS = 40

/** Where a path leads: an entry, or the place where one could be made. */
export interface Place {
  readonly entry: Entry | undefined
  /** Absent for the root. */
  readonly parent: MemoryNode | undefined
  /** The last component as it would be stored. */
  readonly name: string
}

export type Resolution = Place | StorageErrorCode

interface Walk {
  readonly identity: Identity | undefined
  readonly followLast: boolean
  readonly exactly: boolean
  /** Components still to go, the next one last; '..' comes from links alone. */
  readonly pending: string[]
  at: Entry
  links: number
}

/** Finds what a path from the root names; the last component may be missing, no other. `exactly`: in no other case or form. */
export function resolve(
  root: Entry,
  path: string,
  identity: Identity | undefined,
  followLast: boolean,
  exactly = false,
): Resolution {
  const components = path === '' ? [] : path.split('/')
  for (const component of components) {
    const error = componentError(component)
    if (error !== undefined) return error
  }
  const pending = components.map(toNative).reverse()
  const walk: Walk = { identity, followLast, exactly, pending, at: root, links: 0 }
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const outcome = advance(walk, name)
    if (outcome !== undefined) return outcome
  }
  return { entry: walk.at, parent: walk.at.parent, name: walk.at.name }
}

/** Takes one step; answers when the way ends here. */
function advance(walk: Walk, name: string): Resolution | undefined {
  const { node } = walk.at
  if (node.directory === undefined) return 'path-not-found'
  if (!allows(node, walk.identity, Access.execute)) return 'access-denied'
  if (name === '..') {
    const above = node.entry?.parent?.entry
    if (above === undefined) return 'outside'
    walk.at = above
    return undefined
  }
  const isLast = walk.pending.length === 0
  const entry = walk.exactly ? node.directory.exact(name) : node.directory.find(name)
  if (entry === undefined) return isLast ? { entry, parent: node, name } : 'path-not-found'
  if (entry.node.type !== 'symlink' || (isLast && !walk.followLast)) {
    walk.at = entry
    return undefined
  }
  return follow(walk, entry.node.linkTarget)
}

function follow(walk: Walk, target: string): StorageErrorCode | undefined {
  walk.links++
  if (walk.links > MAXIMUM_LINKS) return 'symlink'
  if (target.startsWith('/')) return 'outside'
  const components = target.split('/').filter((component) => component !== '' && component !== '.')
  walk.pending.push(...components.reverse())
  return undefined
}
