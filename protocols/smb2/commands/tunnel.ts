/** MS-FSA 2.1.5.1.1, 2.1.5.5, 2.1.5.15.11: long names that outlive their entries for a while. */

import { toNative } from '../../../storage/names/sfm.ts'
import { isShortName, looksGenerated, shortNameOf } from '../../../storage/names/short-name.ts'
import type { Server, Share } from '../state/server.ts'

interface Place {
  readonly directory: string
  readonly name: string
}

function placeOf(share: Share, path: string): Place {
  const slash = path.lastIndexOf('/')
  const parent = slash < 0 ? '' : path.slice(0, slash)
  return { directory: `${share.path}/${parent}`.toLowerCase(), name: path.slice(slash + 1) }
}

/** An entry with a long name is gone from where it was. */
export function rememberName(server: Server, share: Share, path: string): void {
  const { directory, name } = placeOf(share, path)
  if (isShortName(toNative(name))) return
  server.tunnel.remember(directory, shortNameOf(toNative(name)), name, server.environment.now())
}

/** The path under which a new entry is made: the one asked for, unless its short name stands for a remembered long one. */
export function tunnelledPath(server: Server, share: Share, path: string): string {
  const { directory, name } = placeOf(share, path)
  if (!looksGenerated(name)) return path
  const longName = server.tunnel.longNameOf(directory, name, server.environment.now())
  return longName === undefined ? path : path.slice(0, path.length - name.length) + longName
}
