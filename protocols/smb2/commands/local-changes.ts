/** MS-FSA 2.1.4.1: those who watch a directory also learn what others do in it on the disk, where storage can tell. */

import { StorageError } from '../../../storage/errors.ts'
import type { LocalChange } from '../../../storage/file-system.ts'
import { NotifyAction, NotifyFilter } from '../fscc/notify.ts'
import { type Change, nameFilter, renameChanges } from '../state/change-bus.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import type { Watch } from '../state/watch.ts'

/** Begins to listen; the end of the open ends it. Without it changes through this server are still told. */
export async function listenLocally(server: Server, open: Open, watch: Watch): Promise<void> {
  try {
    const stop = await open.file.handle.watch((change) => report(server, watch, change), watch.recursive)
    if (stop === undefined) {
      saySomeAreMissed(server)
      return
    }
    const end = (): void => {
      stop().catch((error: unknown) => server.log('debug', 'a folder stays watched', { error }))
    }
    if (open.closing) end()
    else open.onClose.add(end)
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    server.log('debug', 'a folder cannot be watched', { path: open.pathName, code: error.code })
  }
}

function saySomeAreMissed(server: Server): void {
  server.changes.missLocal(() =>
    server.log(
      'warn',
      'some watched folders do not show what local processes change: too many, or not possible',
    ),
  )
}

function report(server: Server, watch: Watch, change: LocalChange): void {
  if (change.kind === 'lost') watch.overflow()
  else if (change.kind === 'incomplete') saySomeAreMissed(server)
  else server.changes.report(watch, changesOf(watch.path, change))
}

/** chmod, utimes and setfattr come as one. */
const ATTRIBUTES = NotifyFilter.ATTRIBUTES | NotifyFilter.LAST_WRITE | NotifyFilter.SECURITY | NotifyFilter.EA

function changesOf(
  directory: string,
  change: Exclude<LocalChange, { kind: 'lost' | 'incomplete' }>,
): readonly Change[] {
  const at = (name: string): string => (directory === '' ? name : `${directory}/${name}`)
  const path = at(change.name)
  const filter = nameFilter(change.isDirectory)
  switch (change.kind) {
    case 'added':
      return [{ path, action: NotifyAction.ADDED, filter }]
    case 'removed':
      return [{ path, action: NotifyAction.REMOVED, filter }]
    case 'renamed':
      return renameChanges(path, at(change.to), change.isDirectory)
    case 'written':
      return [{ path, action: NotifyAction.MODIFIED, filter: NotifyFilter.SIZE | NotifyFilter.LAST_WRITE }]
    case 'attributes':
      return [{ path, action: NotifyAction.MODIFIED, filter: ATTRIBUTES }]
  }
}
