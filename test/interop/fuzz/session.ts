/** MS-SMB2 3.2: a session with one tree, one file and one folder, from which frames of the corpus are sent as its own. */

import { Command } from '../../../protocols/smb2/messages/commands.ts'
import { decodeCreateResponse } from '../../../protocols/smb2/messages/create.ts'
import { HEADER_BYTES } from '../../../protocols/smb2/messages/header.ts'
import type { Account } from '../server-process.ts'
import { createBody, WireSession } from '../wire-session.ts'

const CREDIT_CHARGE_OFFSET = 6
const MESSAGE_ID_OFFSET = 24
const TREE_ID_OFFSET = 36
const SESSION_ID_OFFSET = 40
const ECHO_STRUCTURE_SIZE = 4
const CREATE_RESPONSE_FILE_ID_OFFSET = HEADER_BYTES + 64

/** Where a request's FileId stands, from the start of the frame (the sections of 2.2.15 to 2.2.39). */
const fileIdOffsets: ReadonlyMap<number, number> = new Map(
  Object.entries({
    [Command.CLOSE]: 8,
    [Command.FLUSH]: 8,
    [Command.READ]: 16,
    [Command.WRITE]: 16,
    [Command.LOCK]: 8,
    [Command.IOCTL]: 8,
    [Command.QUERY_DIRECTORY]: 8,
    [Command.CHANGE_NOTIFY]: 8,
    [Command.QUERY_INFO]: 24,
    [Command.SET_INFO]: 16,
    [Command.OPLOCK_BREAK]: 8,
  }).map(([command, offset]) => [Number(command), HEADER_BYTES + offset]),
)

/** A connection with a session, a tree and two opens. */
export class FuzzSession extends WireSession {
  /** FileId of the file and of the folder, 16 bytes each. */
  #fileIds: readonly Buffer[] = []

  /** @throws Error when the server does not answer as it must */
  async open(account: Account, share: string): Promise<void> {
    await this.mount(account, share)
    const file = await this.#create(`fuzz-${this.sessionId.toString(16)}.bin`)
    this.#fileIds = [file, await this.#create('')]
  }

  /** A frame of the corpus with this session's ids and the next MessageId. */
  adopt(frame: Buffer, command: number): Buffer {
    const bytes = Buffer.from(frame)
    const charge = Math.max(1, bytes.readUInt16LE(CREDIT_CHARGE_OFFSET))
    bytes.writeBigUInt64LE(this.nextMessageId(charge), MESSAGE_ID_OFFSET)
    bytes.writeUInt32LE(this.treeId, TREE_ID_OFFSET)
    bytes.writeBigUInt64LE(this.sessionId, SESSION_ID_OFFSET)
    const at = fileIdOffsets.get(command)
    const fileId = this.#fileIds[command === Command.QUERY_DIRECTORY ? 1 : 0]
    if (at !== undefined && fileId !== undefined && at + fileId.length <= bytes.length) {
      fileId.copy(bytes, at)
    }
    return bytes
  }

  /** Asks for an ECHO. @returns false when the connection stays open and silent */
  async answersOrCloses(milliseconds: number): Promise<boolean> {
    const deadline = Date.now() + milliseconds
    const echo = this.send(Command.ECHO, (writer) => writer.u16(ECHO_STRUCTURE_SIZE).u16(0))
    while (Date.now() < deadline) {
      const frame = await this.connection.next(deadline - Date.now())
      if (frame === undefined) {
        return this.connection.isClosed
      }
      if (frame.length >= HEADER_BYTES && frame.readBigUInt64LE(MESSAGE_ID_OFFSET) === echo) {
        return true
      }
    }
    return this.connection.isClosed
  }

  /** Opens files, or makes them, all at once. @returns the statuses, in no order */
  async openAtOnce(names: readonly string[]): Promise<number[]> {
    const asked = new Set(names.map((name) => this.send(Command.CREATE, createBody(name, name === ''))))
    const statuses: number[] = []
    while (asked.size > 0) {
      const { header } = await this.nextAnswer(`${asked.size} of ${names.length} CREATEs`)
      if (asked.delete(header.messageId)) statuses.push(header.status)
    }
    return statuses
  }

  /** '' is the share's root. */
  async #create(name: string): Promise<Buffer> {
    const { body, frame } = await this.request(Command.CREATE, createBody(name, name === ''))
    decodeCreateResponse(body)
    return Buffer.from(frame.subarray(CREATE_RESPONSE_FILE_ID_OFFSET, CREATE_RESPONSE_FILE_ID_OFFSET + 16))
  }
}
