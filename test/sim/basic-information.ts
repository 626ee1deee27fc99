/** MS-FSCC 2.4.7: FileBasicInformation as a client sends it. */

import { FileInformationClass } from '../../protocols/smb2/fscc/file-information.ts'
import { SetTime } from '../../protocols/smb2/fscc/file-information-set.ts'
import type { FileId } from '../../protocols/smb2/messages/structure.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import type { SimClient } from './smb2-client.ts'

const basicOf = (fields: {
  write?: bigint
  access?: bigint
  creation?: bigint
  change?: bigint
  attributes?: number
}) =>
  new Writer()
    .i64(fields.creation ?? SetTime.UNCHANGED)
    .i64(fields.access ?? SetTime.UNCHANGED)
    .i64(fields.write ?? SetTime.UNCHANGED)
    .i64(fields.change ?? SetTime.UNCHANGED)
    .u32(fields.attributes ?? 0)
    .zeros(4)
    .finish()

/** SET_INFO; what is absent stays. @returns the status */
export async function setBasic(
  client: SimClient,
  fileId: FileId,
  fields: Parameters<typeof basicOf>[0],
): Promise<number> {
  return client.setInfo(fileId, { fileInfoClass: FileInformationClass.Basic, input: basicOf(fields) })
}
