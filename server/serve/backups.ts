/** Joins the monitor of backups with what clients do over SMB. */

import { FileAccess } from '../../protocols/smb2/fscc/access.ts'
import type { Server } from '../../protocols/smb2/state/server.ts'
import { BackupMonitor, type MonitoredShare, type ShareActivity } from '../backups/monitor.ts'
import type { Events } from '../events.ts'

const WRITING = FileAccess.WRITE_DATA | FileAccess.APPEND_DATA
/** `<bundle>\bands\<band>`; newer images have `mapped` beside that. Of Windows' backups the computer's folder. */
const WRITTEN =
  /^([^\\]+)\\(?:bands|mapped)\\|^(WindowsImageBackup\\[^\\]+)\\|^(FileHistory\\[^\\]+\\[^\\]+)\\/i

/** Follows the backups in these shares. */
export function followBackups(
  server: Server,
  shares: readonly MonitoredShare[],
  events: Events,
): BackupMonitor {
  const { environment, log } = server
  const monitor = new BackupMonitor({
    environment,
    events,
    log,
    activity: (share) => activityOf(server, share),
  })
  monitor.follow(shares)
  return monitor
}

function activityOf(server: Server, share: string): ShareActivity {
  const writtenBundles = new Set<string>()
  for (const open of server.globalOpenTable.values()) {
    if (open.share.name !== share || open.session === undefined || !open.grantsAny(WRITING)) continue
    const [, ...places] = WRITTEN.exec(open.pathName) ?? []
    const place = places.find((each) => each !== undefined)
    if (place !== undefined) writtenBundles.add(place.toLowerCase().replaceAll('\\', '/'))
  }
  const inUse = writtenBundles.size > 0 || isConnected(server, share)
  return { inUse, uses: server.shareUses.get(share) ?? 0, writtenBundles }
}

function isConnected(server: Server, share: string): boolean {
  for (const session of server.globalSessionTable.values()) {
    for (const connect of session.treeConnectTable.values()) if (connect.share.name === share) return true
  }
  return false
}
