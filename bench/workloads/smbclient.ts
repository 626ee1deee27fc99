/** Samba's smbclient as the client of both servers. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type RunningServer, SHARE } from '../peers/peer.ts'
import { type Finished, run } from '../programs.ts'
import { type Protection, protectionArguments, requireProtection } from './protection.ts'
import type { Ground } from './workload.ts'

/** A run that takes longer counts as failed. */
const RUN_SECONDS = 600
const KIBIBYTE = 1024

/**
 * Runs smbclient's commands, separated by semicolons, in one session.
 * @throws Error when it fails; of several commands the last one decides, so look at the output, too
 */
export function smbclient(
  ground: Ground,
  server: Pick<RunningServer, 'port'>,
  protection: Protection,
  commands: string,
): Promise<Finished> {
  return start(ground, server, protection, { arguments: ['-c', commands] })
}

/**
 * As `smbclient`, for any number of commands: they are read from the standard input, one a line.
 * @throws Error when there is no session; what became of the commands stands in the output alone
 */
export function smbclientFed(
  ground: Ground,
  server: Pick<RunningServer, 'port'>,
  protection: Protection,
  commands: readonly string[],
): Promise<Finished> {
  return start(ground, server, protection, { arguments: [], input: `${commands.join('\n')}\n` })
}

/**
 * Runs several smbclients at a time, each in a session of its own.
 * @returns their outputs, and the seconds from the start of the first to the end of the last, with the time to connect
 */
export async function smbclients(
  ground: Ground,
  server: Pick<RunningServer, 'port'>,
  protection: Protection,
  commandsOfEach: readonly (readonly string[])[],
): Promise<{ readonly outputs: readonly string[]; readonly seconds: number }> {
  await writeConfiguration(ground)
  const started = performance.now()
  const finished = await Promise.all(
    commandsOfEach.map((commands) => smbclientFed(ground, server, protection, commands)),
  )
  const seconds = (performance.now() - started) / 1000
  return { outputs: finished.map(({ output }) => output), seconds }
}

const protectionsSeen = new Map<RunningServer, Set<Protection>>()

/** Looks, once for each server, whether sessions are protected as asked for. @throws Error when they are not */
export async function verifyProtection(
  ground: Ground,
  server: RunningServer,
  protection: Protection,
): Promise<void> {
  const seen = protectionsSeen.get(server) ?? new Set()
  protectionsSeen.set(server, seen)
  if (seen.has(protection)) return
  await requireProtection(protection, server, (port) => smbclient(ground, { port }, protection, 'volume'))
  seen.add(protection)
}

interface Commands {
  readonly arguments: readonly string[]
  readonly input?: string
}

async function start(
  ground: Ground,
  { port }: Pick<RunningServer, 'port'>,
  protection: Protection,
  commands: Commands,
): Promise<Finished> {
  const { config, credentials } = await writeConfiguration(ground)
  return run(
    'smbclient',
    [
      ...['-s', config, '-A', credentials, '-p', String(port), ...protectionArguments(protection)],
      ...[`//127.0.0.1/${SHARE}`, ...commands.arguments],
    ],
    { seconds: RUN_SECONDS, ...(commands.input === undefined ? {} : { input: commands.input }) },
  )
}

let written: Promise<{ config: string; credentials: string }> | undefined

/** The same files for all sessions of a run. */
function writeConfiguration(ground: Ground): Promise<{ config: string; credentials: string }> {
  written ??= (async () => {
    const config = join(ground.local, 'smbclient.conf')
    const credentials = join(ground.local, 'credentials')
    const { name, password } = ground.account
    await writeFile(config, '[global]\nclient min protocol = SMB3_11\n')
    await writeFile(credentials, `username = ${name}\npassword = ${password}\n`, { mode: 0o600 })
    return { config, credentials }
  })()
  return written
}

/** Seconds that a transfer took by smbclient's own count, without the time to connect. @throws Error when it tells none */
export function transferSeconds(output: string, bytes: number): number {
  const line = /\((\d+(?:\.\d+)?) (?:KiloBytes\/sec|kb\/s)\)/i.exec(output)
  const kibibytesPerSecond = Number(line?.[1])
  if (!(kibibytesPerSecond > 0)) throw new Error(`smbclient told no rate:\n${output}`)
  return bytes / (kibibytesPerSecond * KIBIBYTE)
}
