/** MS-FSCC 2.3.1: FSCTL_CREATE_OR_GET_OBJECT_ID: an identifier made of volume and file, always the same. */

import { Writer } from '../../../wire/writer.ts'
import { done, type IoctlHandler } from './handler.ts'

/** BirthVolumeId, BirthObjectId and DomainId of FILE_OBJECTID_BUFFER (MS-FSCC 2.1.3). */
const EXTENDED_INFO_BYTES = 48

export const createOrGetObjectId: IoctlHandler = {
  on: 'file',
  async run({ open }) {
    const { fileId, volumeId } = await open.file.handle.stat()
    const writer = new Writer().u64(volumeId).u64(fileId).zeros(EXTENDED_INFO_BYTES)
    return done(writer.finish())
  },
}
