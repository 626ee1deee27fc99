/** zpoolprops(7): what a pool has left. */

import { type CommandRunner, parseNumber, parseRows, runZfs, ZfsError } from './command.ts'

/** Bytes that are free, with those that the pool is still giving back in the background. @throws ZfsError */
export async function freeSpace(run: CommandRunner, pool: string): Promise<number> {
  const [[free, freeing] = []] = parseRows(
    await runZfs(run, 'zpool', ['list', '-Hp', '-o', 'free,freeing', pool]),
  )
  const bytes = parseNumber(free)
  if (bytes === undefined) throw new ZfsError('failed', `zpool list: no free space of "${pool}" was told`)
  return bytes + (parseNumber(freeing) ?? 0)
}
