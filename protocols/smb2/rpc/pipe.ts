/** MS-SMB2 3.3.5.10 to 3.3.5.15.10: a named pipe in message mode, with an RPC server at its other end. */

import { DecodeError } from '../../wire/errors.ts'
import { RpcAssociation } from './association.ts'
import type { RpcHost } from './host.ts'
import type { RpcInterface } from './interface.ts'
import { fragmentLengthOf } from './pdu.ts'
import { SRVSVC } from './srvsvc.ts'
import { WKSSVC } from './wkssvc.ts'

const INTERFACES: ReadonlyMap<string, RpcInterface> = new Map([
  ['srvsvc', SRVSVC],
  ['wkssvc', WKSSVC],
])

/** Answers that a client has not read; past them the pipe breaks. */
const MAXIMUM_QUEUED_BYTES = 4 * 1024 * 1024

/** The next bytes of a message. */
export interface PipeData {
  readonly data: Buffer
  /** The message goes on: STATUS_BUFFER_OVERFLOW. */
  readonly more: boolean
}

/** Names of the pipes, for a listing of IPC$. */
export const PIPE_NAMES: readonly string[] = [...INTERFACES.keys()]

/**
 * Opens a pipe by the name a CREATE gave, in any case and with or without leading backslashes.
 * @returns undefined when there is none of that name (STATUS_OBJECT_NAME_NOT_FOUND)
 */
export function createPipe(name: string, host: RpcHost): NamedPipe | undefined {
  const key = name.replace(/^\\+/, '').toLowerCase()
  const served = INTERFACES.get(key)
  return served === undefined ? undefined : new NamedPipe(key, served, host)
}

/** One open of a pipe. Nothing in it waits: what a write asks for can be read as soon as it returns. */
export class NamedPipe {
  readonly name: string
  readonly #association: RpcAssociation
  #received = Buffer.alloc(0)
  readonly #messages: Buffer[] = []
  #queuedBytes = 0
  #broken = false

  constructor(name: string, served: RpcInterface, host: RpcHost) {
    this.name = name
    this.#association = new RpcAssociation(`\\PIPE\\${name}`, served, host)
  }

  /** The server has hung up; when the queue is empty too, answer STATUS_PIPE_DISCONNECTED. */
  get broken(): boolean {
    return this.#broken
  }

  /** Bytes that can be read, all messages together. */
  get available(): number {
    return this.#queuedBytes
  }

  /** Takes all bytes. @returns false when the pipe is broken (STATUS_PIPE_DISCONNECTED) */
  write(bytes: Buffer): boolean {
    if (this.#broken) return false
    let pending = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes])
    try {
      for (;;) {
        const length = fragmentLengthOf(pending)
        if (length === undefined || length > pending.length || this.#broken) break
        this.#receive(pending.subarray(0, length))
        pending = pending.subarray(length)
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#broken = true
    }
    // A copy: the frame these bytes lie in is used again. Less than a fragment can be left over.
    this.#received = Buffer.from(this.#broken ? '' : pending)
    return true
  }

  #receive(fragment: Buffer): void {
    const answer = this.#association.receive(fragment)
    for (const message of answer.fragments) {
      this.#messages.push(message)
      this.#queuedBytes += message.length
    }
    // One write can hold many calls: who asks for more than it reads is cut off in the middle of it, too.
    if (answer.broken || this.#queuedBytes > MAXIMUM_QUEUED_BYTES) this.#broken = true
  }

  /** Takes up to `maxBytes` of the next message. @returns undefined when no message waits: the READ pends */
  read(maxBytes: number): PipeData | undefined {
    const message = this.#messages[0]
    if (message === undefined) return undefined
    const data = message.subarray(0, maxBytes)
    const rest = message.subarray(data.length)
    this.#queuedBytes -= data.length
    if (rest.length > 0) this.#messages[0] = rest
    else this.#messages.shift()
    return { data, more: rest.length > 0 }
  }

  /**
   * FSCTL_PIPE_TRANSCEIVE: writes, then reads one message.
   * @returns undefined when nothing answers: the pipe is broken, or the fragment was not the call's last
   */
  transceive(bytes: Buffer, maxBytes: number): PipeData | undefined {
    return this.write(bytes) ? this.read(maxBytes) : undefined
  }
}
