/** MS-SMB2 3.2.4.17: lists folders as a Mac does, or the same way without being one. */

import { FileInformationClass } from '../../protocols/smb2/fscc/file-information.ts'
import { encodeCloseRequest } from '../../protocols/smb2/messages/close.ts'
import { Command } from '../../protocols/smb2/messages/commands.ts'
import { decodeCreateResponse } from '../../protocols/smb2/messages/create.ts'
import { encodeAaplServerQuery } from '../../protocols/smb2/messages/create-context-aapl.ts'
import { type CreateContext, CreateContextName } from '../../protocols/smb2/messages/create-contexts.ts'
import { Dialect } from '../../protocols/smb2/messages/dialects.ts'
import { decodeOutputBody } from '../../protocols/smb2/messages/output-body.ts'
import { encodeQueryDirectoryRequest } from '../../protocols/smb2/messages/query-directory.ts'
import type { FileId } from '../../protocols/smb2/messages/structure.ts'
import { encodeWriteRequest } from '../../protocols/smb2/messages/write.ts'
import { Status } from '../../protocols/smb2/status.ts'
import { createBody, WireSession } from '../../test/interop/wire-session.ts'
import type { RunningServer } from '../peers/peer.ts'
import { SHARE } from '../peers/peer.ts'
import type { Ground } from '../workloads/workload.ts'

/** OutputBufferLength of Macs. */
const LIST_BYTES = 65_536
/** What macOS says that it can do, and asks for: capabilities, volume capabilities, model. */
const AAPL_QUERY = { clientCapabilities: 0x3fn, queryBitmap: 7n }

/** What a listing took. */
export interface Listed {
  readonly entries: number
  /** CREATE, QUERY_DIRECTORY until there is no more, CLOSE. */
  readonly requests: number
}

export class ListingClient extends WireSession {
  /** @param mac negotiates Apple's extensions first, as at a mount */
  static async connect(
    server: RunningServer,
    ground: Ground,
    mac: boolean,
    share = SHARE,
  ): Promise<ListingClient> {
    const client = new ListingClient(server.port, Dialect.SMB_3_0_2)
    await client.mount(ground.account, share)
    if (!mac) return client
    const data = encodeAaplServerQuery(AAPL_QUERY)
    const root = await client.open('', true, [{ name: CreateContextName.AAPL, data }])
    await client.close(root)
    return client
  }

  async list(folder: string): Promise<Listed> {
    const fileId = await this.open(folder, true)
    let [entries, requests] = [0, 2]
    for (;;) {
      const page = await this.#page(fileId)
      requests++
      if (page === undefined) break
      entries += countEntries(page)
    }
    await this.close(fileId)
    return { entries, requests }
  }

  async open(name: string, isFolder: boolean, contexts: CreateContext[] = []): Promise<FileId> {
    const { body } = await this.request(Command.CREATE, createBody(name, isFolder, contexts))
    return decodeCreateResponse(body).fileId
  }

  async close(fileId: FileId): Promise<void> {
    await this.request(Command.CLOSE, (writer) => encodeCloseRequest(writer, { flags: 0, fileId }))
  }

  /** Makes a file, or a stream of one, with these bytes. */
  async store(name: string, data: Buffer): Promise<void> {
    const fileId = await this.open(name, false)
    await this.request(Command.WRITE, (writer) =>
      encodeWriteRequest(writer, { fileId, offset: 0n, data, channel: 0, remainingBytes: 0, flags: 0 }),
    )
    await this.close(fileId)
  }

  async #page(fileId: FileId): Promise<Buffer | undefined> {
    const { header, body } = await this.request(
      Command.QUERY_DIRECTORY,
      (writer) =>
        encodeQueryDirectoryRequest(writer, {
          fileInformationClass: FileInformationClass.IdBothDirectory,
          ...{ flags: 0, fileIndex: 0, fileId, fileName: '*', outputBufferLength: LIST_BYTES },
        }),
      [Status.NO_MORE_FILES],
    )
    return header.status === Status.SUCCESS ? decodeOutputBody(body).output : undefined
  }
}

/** Follows NextEntryOffset. */
function countEntries(list: Buffer): number {
  let count = 0
  for (let at = 0, next = 1; next > 0; at += next, count++) next = list.readUInt32LE(at)
  return count
}
