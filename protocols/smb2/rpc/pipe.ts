/** MS-SMB2 3.3.5.10 to 3.3.5.15.10: a named pipe in message mode, with an RPC server at its other end. */

import { DecodeError } from '../../wire/errors.ts'
import { RpcAssociation } from './association.ts'
import { DSSETUP } from './dssetup.ts'
import type { RpcHost } from './host.ts'
import type { RpcInterface } from './interface.ts'
import { LSARPC } from './lsarpc.ts'
import { fragmentLengthOf } from './pdu.ts'
import { SRVSVC } from './srvsvc.ts'
import { WKSSVC } from './wkssvc.ts'

/** What is served at which pipe. `lsass` and `netlogon` lead to the same process as `lsarpc` on Windows. */
const ENDPOINTS: ReadonlyMap<string, readonly RpcInterface[]> = new Map([
  ['srvsvc', [SRVSVC]],
  ['wkssvc', [WKSSVC]],
  ['lsarpc', [LSARPC, DSSETUP]],
  ['lsass', [LSARPC, DSSETUP]],
  ['netlogon', [LSARPC]],
  // Whoever looks for the account database or the registry learns at bind that it is the interface that is missing.
  ['samr', []],
  ['winreg', []],
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
export const PIPE_NAMES: readonly string[] = [...ENDPOINTS.keys()]

/**
 * Opens a pipe by the name a CREATE gave, in any case. A backslash before it is not part of a name in SMB2.
 * @returns undefined when there is none of that name (STATUS_OBJECT_NAME_NOT_FOUND)
 */
export function createPipe(name: string, host: RpcHost): NamedPipe | undefined {
  const key = name.toLowerCase()
  const served = ENDPOINTS.get(key)
  return served === undefined ? undefined : new NamedPipe(key, served, host)
}

/** One open of a pipe. The calls are answered at once: what a write asks for can be read as soon as it returns. */
export class NamedPipe {
  readonly name: string
  /** MS-FSCC 2.4.37: a READ ends with a message, and tells when it has not taken the whole of it. */
  readsMessages = true
  /** A READ without a message waits for one. */
  waits = true
  readonly #association: RpcAssociation
  #received = Buffer.alloc(0)
  readonly #messages: Buffer[] = []
  #queuedBytes = 0
  #broken = false
  /** Who waits for a message, in order; nobody while there is one. */
  readonly #readers = new Set<() => void>()

  constructor(name: string, served: readonly RpcInterface[], host: RpcHost) {
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

  /** Messages that can be read; the first may have been read in part. */
  get messages(): number {
    return this.#messages.length
  }

  /** Bytes of the first message that can be read, without taking them. */
  peek(): Buffer | undefined {
    return this.#messages[0]
  }

  /** There is something to read or someone who reads: no time to write and read in one (STATUS_PIPE_BUSY). */
  get busy(): boolean {
    return this.#messages.length > 0 || this.#readers.size > 0
  }

  /** Calls back once, when there is a message or never will be. @returns stops the waiting */
  whenReadable(callback: () => void): () => void {
    this.#readers.add(callback)
    return () => this.#readers.delete(callback)
  }

  #wakeReaders(): void {
    for (const reader of this.#readers) {
      if (this.#messages.length === 0 && !this.#broken) return
      this.#readers.delete(reader)
      reader()
    }
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
    this.#wakeReaders()
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

  /** Takes up to `maxBytes` of the next message. @returns undefined when no message waits */
  read(maxBytes: number): PipeData | undefined {
    const message = this.#messages[0]
    if (message === undefined) return undefined
    const data = message.subarray(0, maxBytes)
    const rest = message.subarray(data.length)
    this.#queuedBytes -= data.length
    if (rest.length > 0) this.#messages[0] = rest
    else this.#messages.shift()
    return { data, more: this.readsMessages && rest.length > 0 }
  }
}
