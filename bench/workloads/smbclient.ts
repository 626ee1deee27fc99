/** Samba's smbclient as the client of both servers. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type RunningServer, SHARE } from '../peers/peer.ts'
import { type Finished, run } from '../programs.ts'
import type { Ground } from './workload.ts'

/** A run that takes longer counts as failed. */
const RUN_SECONDS = 600
const KIBIBYTE = 1024

/** smbclient's --client-protection. */
export type Protection = 'off' | 'sign' | 'encrypt'

/**
 * Runs smbclient's commands, separated by semicolons, in one session.
 * @throws Error when it fails; of several commands the last one decides, so look at the output, too
 */
export async function smbclient(
  ground: Ground,
  server: RunningServer,
  protection: Protection,
  commands: string,
): Promise<Finished> {
  const config = join(ground.local, 'smbclient.conf')
  const credentials = join(ground.local, 'credentials')
  const { name, password } = ground.account
  await writeFile(config, '[global]\nclient min protocol = SMB3\n')
  await writeFile(credentials, `username = ${name}\npassword = ${password}\n`, { mode: 0o600 })
  return run(
    'smbclient',
    [
      ...['-s', config, '-A', credentials, '-p', String(server.port), `--client-protection=${protection}`],
      ...[`//127.0.0.1/${SHARE}`, '-c', commands],
    ],
    { seconds: RUN_SECONDS },
  )
}

/** Seconds that a transfer took by smbclient's own count, without the time to connect. @throws Error when it tells none */
export function transferSeconds(output: string, bytes: number): number {
  const line = /\((\d+(?:\.\d+)?) (?:KiloBytes\/sec|kb\/s)\)/i.exec(output)
  const kibibytesPerSecond = Number(line?.[1])
  if (!(kibibytesPerSecond > 0)) throw new Error(`smbclient told no rate:\n${output}`)
  return bytes / (kibibytesPerSecond * KIBIBYTE)
}
