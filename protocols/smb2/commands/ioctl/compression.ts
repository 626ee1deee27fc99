/** MS-FSCC 2.3.17, 2.3.57: FSCTL_GET_COMPRESSION and FSCTL_SET_COMPRESSION, where the file system has a flag for it. */

import { Reader } from '../../../wire/reader.ts'
import { Writer } from '../../../wire/writer.ts'
import { FileAccess } from '../../fscc/access.ts'
import { NotifyFilter } from '../../fscc/notify.ts'
import {
  CompressionFormat,
  decodeCompressionState,
  encodeCompressionState,
} from '../../messages/ioctl/compression.ts'
import { fail } from '../../outcome.ts'
import { Status } from '../../status.ts'
import { noteModified } from '../notes.ts'
import { done, type IoctlHandler } from './handler.ts'

const COMPRESSION_STATE_BYTES = 2

export const getCompression: IoctlHandler = {
  on: 'file',
  async run({ open, treeConnect }, request) {
    if (request.maxOutputResponse < COMPRESSION_STATE_BYTES) return fail(Status.INVALID_USER_BUFFER)
    const supported = treeConnect.share.fileSystem?.features.compression === true
    const compressed = supported && (await open.file.handle.compressed())
    const writer = new Writer()
    encodeCompressionState(writer, compressed ? CompressionFormat.LZNT1 : CompressionFormat.NONE)
    return done(writer.finish())
  },
}

export const setCompression: IoctlHandler = {
  on: 'file',
  async run({ open, server, treeConnect }, request) {
    if (!open.grants(FileAccess.WRITE_DATA)) return fail(Status.ACCESS_DENIED)
    if (request.input.length < COMPRESSION_STATE_BYTES) return fail(Status.INVALID_PARAMETER)
    const state = decodeCompressionState(new Reader(request.input))
    const known: readonly number[] = Object.values(CompressionFormat)
    if (!known.includes(state)) return fail(Status.INVALID_PARAMETER)
    const wanted = state !== CompressionFormat.NONE
    if (treeConnect.share.fileSystem?.features.compression !== true) {
      return wanted ? fail(Status.NOT_SUPPORTED) : done()
    }
    await open.file.handle.setCompressed(wanted)
    noteModified(server, open, NotifyFilter.ATTRIBUTES)
    return done()
  },
}
