/** The server that serves a share while it is restored; or none, and then none may start meanwhile. */

import type { Configuration } from '../config/types.ts'
import { done, failed, type Outcome } from '../outcome.ts'
import { lockStateDirectory, prepareStateDirectory } from '../state/directory.ts'
import { fetchReport, pauseShare, resumeShare } from '../status/client.ts'

export interface ControlledServer {
  /** What clients have open, as paths from the share's root. */
  opensOf(share: string): readonly string[]
  /** Takes it out of service; `force` ends what is open. */
  pause(share: string, force: boolean): Promise<Outcome<unknown>>
  resume(share: string): Promise<Outcome<unknown>>
  /** Another may start from now on. */
  release(): void
}

export async function findServer({
  server: { stateDir },
}: Configuration): Promise<Outcome<ControlledServer>> {
  const report = await fetchReport(stateDir)
  if (report.ok) {
    const { opens } = report.value
    return done({
      opensOf: (share) =>
        opens
          .filter((open) => open.share.toLowerCase() === share.toLowerCase())
          .map(({ path }) => path || '/'),
      pause: (share, force) => pauseShare(stateDir, share, force),
      resume: (share) => resumeShare(stateDir, share),
      release: () => undefined,
    })
  }
  const prepared = await prepareStateDirectory(stateDir)
  if (!prepared.ok) return prepared
  const lock = lockStateDirectory(stateDir)
  if (!lock.ok) {
    return failed(`a server runs that cannot be asked (${report.message}); enable [status], or stop it`)
  }
  const nothing = async (): Promise<Outcome<unknown>> => done(undefined)
  return done({
    opensOf: () => [],
    pause: nothing,
    resume: nothing,
    release: () => lock.value.release(),
  })
}
