/** C706 chapter 6.1.6: context handles: what a server keeps for its client between two calls. */

import { FaultStatus, RpcFault } from './status.ts'

/** Attributes and UUID. */
export const CONTEXT_HANDLE_BYTES = 20
/** Where the UUID's last part lies, in which we count. */
const COUNTER_OFFSET = 16
const MAXIMUM_HANDLES = 128

/** The handles of one association; what another association was given means nothing here. */
export class ContextHandles<T> {
  readonly #byHandle = new Map<string, T>()
  #last = 0

  /** @returns undefined when the client has too many */
  create(value: T): Buffer | undefined {
    if (this.#byHandle.size >= MAXIMUM_HANDLES) return undefined
    const handle = Buffer.alloc(CONTEXT_HANDLE_BYTES)
    handle.writeUInt32LE(++this.#last >>> 0, COUNTER_OFFSET)
    this.#byHandle.set(keyOf(handle), value)
    return handle
  }

  /** @throws RpcFault when there is no such handle */
  get(handle: Buffer): T {
    const value = this.#byHandle.get(keyOf(handle))
    if (value === undefined) throw new RpcFault(FaultStatus.CONTEXT_MISMATCH)
    return value
  }

  /** @throws RpcFault when there is no such handle */
  close(handle: Buffer): void {
    this.get(handle)
    this.#byHandle.delete(keyOf(handle))
  }
}

function keyOf(handle: Buffer): string {
  return handle.toString('hex')
}
