/** sshd(8), command=: what a key may do that is for replication alone, and its line for authorized_keys. */

import { readFile } from 'node:fs/promises'
import { PLAIN_DATASET } from '../config/places.ts'
import { done, failed, type Outcome } from '../outcome.ts'
import type { Grant } from '../zfs/replication-guard.ts'
import { authorizedKeysLine, serveReplication } from '../zfs/replication-serve.ts'
import type { CommandContext } from './context.ts'
import { ExitCode, fail, print } from './context.ts'

export interface GrantOptions {
  readonly root: string
  readonly thin?: boolean
  readonly send?: boolean
}

/** As the forced command of a key: does what the client asked for, when it is allowed. */
export async function serveKey(context: CommandContext, options: GrantOptions): Promise<ExitCode> {
  const grant = grantOf(options)
  if (!grant.ok) return fail(context, grant.message, ExitCode.usage)
  const { SSH_ORIGINAL_COMMAND: line } = process.env
  if (line === undefined) return fail(context, 'this key is for replication alone: it gives no shell')
  try {
    const outcome = await serveReplication(line, grant.value)
    return outcome.ok
      ? outcome.value === 0
        ? ExitCode.done
        : ExitCode.failed
      : fail(context, outcome.message)
  } catch (error) {
    return fail(context, (error as Error).message)
  }
}

/** Prints the line for authorized_keys. */
export async function showKey(
  context: CommandContext,
  file: string,
  options: GrantOptions,
): Promise<ExitCode> {
  const grant = grantOf(options)
  if (!grant.ok) return fail(context, grant.message, ExitCode.usage)
  try {
    const line = authorizedKeysLine(await readFile(file, 'utf8'), process.argv[1] ?? '', grant.value)
    if (!line.ok) return fail(context, `${file}: ${line.message}`)
    print(context, line.value)
    return ExitCode.done
  } catch (error) {
    return fail(context, (error as Error).message)
  }
}

function grantOf({ root, thin = false, send = false }: GrantOptions): Outcome<Grant> {
  if (!PLAIN_DATASET.test(root)) return failed(`--root ${JSON.stringify(root)} is no name of a dataset`)
  return done({ root, thin, send })
}
