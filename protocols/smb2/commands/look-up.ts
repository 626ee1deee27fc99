/** MS-FSA 2.1.5.1 on the server's own behalf: what a path names now, with the rights of the account that asks. */

import type { OpenOutcome } from '../../../storage/file-system.ts'
import type { Right } from '../state/open.ts'

/** Opens what is there, for its attributes alone; nothing is made. A link at the end is opened itself. */
export async function lookUp(
  { share, admission }: Right,
  path: string,
  wantPermissions = false,
): Promise<Extract<OpenOutcome, { ok: true }> | undefined> {
  const outcome = await share.fileSystem?.open({
    path,
    identity: admission.identity,
    disposition: 'open',
    kind: 'any',
    followLinks: false,
    read: false,
    write: false,
    create: { mode: 0, dosAttributes: 0 },
    wantPermissions,
  })
  return outcome?.ok === true ? outcome : undefined
}
