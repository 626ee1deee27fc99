/** The server's GUID (MS-SMB2 3.3.1.5 Server.ServerGuid): made once and kept in the state directory. */

import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatGuid, GUID_BYTES, parseGuid } from '../../protocols/wire/guid.ts'
import { replaceFile } from '../state/atomic-file.ts'

const FILE_NAME = 'server-guid'

/** @throws Error when the file cannot be read or written, or holds something else */
export async function serverGuid(stateDirectory: string): Promise<Buffer> {
  const file = join(stateDirectory, FILE_NAME)
  try {
    return parseGuid((await readFile(file, 'utf8')).trim())
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const guid = randomBytes(GUID_BYTES)
  await replaceFile(file, `${formatGuid(guid)}\n`)
  return guid
}
