/** MS-SMB2 3.3.1.10 Open.IsReplayEligible, 3.3.5.9: the CREATEs that a client may send once more, since it may not have seen their answers. */

import type { Open } from './open.ts'

/** What is known of a CREATE: its open, or that it is still being worked on. */
export type Known = Open | 'pending'

export class ReplayCache {
  /** By client and CreateGuid. */
  readonly #creates = new Map<string, Known>()

  /** CREATEs that are known. */
  get size(): number {
    return this.#creates.size
  }

  find(key: string): Known | undefined {
    return this.#creates.get(key)
  }

  /** A CREATE is being worked on; `finish` or `forget` must follow. */
  begin(key: string): void {
    this.#creates.set(key, 'pending')
  }

  /** It led to an open. */
  finish(key: string, open: Open): void {
    open.replayKey = key
    this.#creates.set(key, open)
  }

  /** It failed. */
  forget(key: string): void {
    this.#creates.delete(key)
  }

  /** The client has used the FileId, or the open is gone: the CREATE is not sent again. */
  forgetOpen(open: Open): void {
    const { replayKey } = open
    if (replayKey === undefined) return
    open.replayKey = undefined
    if (this.#creates.get(replayKey) === open) this.#creates.delete(replayKey)
  }
}

/** A CREATE of a client. */
export function replayKeyOf(clientGuid: Buffer, createGuid: Buffer): string {
  return clientGuid.toString('latin1') + createGuid.toString('latin1')
}
