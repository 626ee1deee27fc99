/** What an interop suite is, and the ground that most of them stand on: one server with one share. */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { alice, isPrivate, makeAccounts, makeShareDirectory, mountImage } from './environment.ts'
import type { Need } from './needs.ts'
import type { Report } from './report.ts'
import { startServer } from './server.ts'
import { lastLines, type Server, type ServerOptions, type Share } from './server-process.ts'

const GiB = 1024 ** 3

export interface Suite {
  readonly name: string
  /** One line: what is tried with which client. */
  readonly about: string
  readonly needs: readonly Need[]
  /** Runs only when it is named: too long for every run. */
  readonly onDemand?: true
  /** Nothing in it is a matter of time: it may run beside another such suite. */
  readonly bearsCompany?: true
  /** The whole suite is stopped after this. */
  readonly limitSeconds: number
  /** Runs in a process of its own, as root in a namespace of its own. `directory` is empty and removed afterwards. */
  run(report: Report, directory: string): Promise<void>
}

/** A running server with a share that `alice` owns. */
export interface Ground {
  readonly server: Server
  readonly share: string
  /** The share's directory on this machine. */
  readonly sharePath: string
  /** The directory of any of the server's shares. */
  pathOf(share: string): string
  /** For a client's own files. */
  readonly local: string
}

const shareName = 'share'
/** The second share of every server: encryption is required on it. */
export const sealedShareName = 'sealed'

/**
 * Starts a server with one share (on XFS when we are root), runs the suite on it, and
 * checks that the server ends well.
 * @param smb keys of [smb] that differ
 */
export async function onGround(
  report: Report,
  directory: string,
  use: (ground: Ground) => Promise<void>,
  smb: ServerOptions['smb'] = {},
): Promise<void> {
  const owner = await makeAccounts(directory)
  const data = join(directory, 'data')
  if (isPrivate) {
    await mountImage('xfs', 6 * GiB, data)
  }
  const pathOf = (share: string) => join(data, share)
  const local = join(directory, 'local')
  for (const path of [pathOf(shareName), pathOf(sealedShareName), local]) {
    await makeShareDirectory(path, owner)
  }
  const share = (name: string): Share => ({ name, path: pathOf(name), valid_users: [alice.name] })
  const shares = [share(shareName), { ...share(sealedShareName), encryption: 'required' }]
  let server: Server | undefined
  const started = await report.check('the server starts', async () => {
    server = await startServer({ directory: join(directory, 'server'), accounts: [alice], shares, smb })
  })
  if (!started || server === undefined) {
    return
  }
  const running = server
  await use({ server: running, share: shareName, sharePath: pathOf(shareName), pathOf, local })
  await report.check('the server stops at SIGTERM', () => running.stop())
  if (report.failed > 0) {
    report.note(`the server's log ends with:\n${lastLines(await running.log())}`)
  }
}

/** Empties a folder of a client between two modes. */
export async function removeAll(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
}
