/** The rows of SMB, in the order of the table. */

import { readBands, writeBands } from './bands.ts'
import { connectSessions, idleSessions } from './idle.ts'
import { listFolder, listFolderAsMac } from './listing.ts'
import { CCM_128, CMAC, GCM_128, GCM_256, GMAC, HMAC, PLAIN, type Protection } from './protection.ts'
import { smallFiles } from './small-files.ts'
import { timeMachineMix } from './time-machine.ts'
import { readColdFile, readLargeFile, writeLargeFile } from './transfer.ts'
import type { Workload } from './workload.ts'

const PROTECTIONS = [PLAIN, GMAC, CMAC, HMAC, GCM_128, GCM_256, CCM_128]
/** What clients use when they are left alone. */
const USUAL = [PLAIN, GMAC, GCM_128]
const USUAL_MARK = 1.2
const OTHER_MARK = 1
const SEVERAL_MARK = 1
const SEVERAL = [4, 16]
const SMALL_CLIENTS = [1, 4]
const SESSIONS = [200, 1000]
/** The second listing has so many times the entries of the first. */
const LARGE_FACTOR = 10

/** AES-256-GCM has no mark of its own: it is as sequential, and the others' is the lower one. */
function markOf(protection: Protection): number {
  return USUAL.includes(protection) ? USUAL_MARK : OTHER_MARK
}

export const smbWorkloads: readonly Workload[] = [
  ...PROTECTIONS.map((protection) => readLargeFile(protection, markOf(protection))),
  readColdFile(USUAL_MARK),
  ...PROTECTIONS.map((protection) => writeLargeFile(protection, markOf(protection))),
  ...PROTECTIONS.flatMap((protection) => bands(protection, 1, markOf(protection))),
  ...SEVERAL.flatMap((clients) => USUAL.flatMap((protection) => bands(protection, clients, SEVERAL_MARK))),
  ...SMALL_CLIENTS.flatMap(smallFiles),
  listFolder('list'),
  listFolder('list large', LARGE_FACTOR),
  listFolderAsMac('list as a Mac'),
  timeMachineMix('Time Machine mix'),
  ...SESSIONS.flatMap((sessions) => [connectSessions(sessions), idleSessions(sessions)]),
]

function bands(protection: Protection, clients: number, mark: number): Workload[] {
  return [readBands({ protection, clients, mark }), writeBands({ protection, clients, mark })]
}
