/** What happens in the server that other parts act on: a snapshot, a message, a metric. */

import type { SnapshotReason } from '../storage/zfs/snapshot.ts'
import type { BackupCompleted } from './backups/bundle.ts'

export interface SnapshotTaken {
  readonly dataset: string
  readonly reason: SnapshotReason
}

export interface ServerEvents {
  /** A Mac's history of completed backups has grown. */
  readonly 'backup completed': BackupCompleted
  /** By the server itself. */
  readonly 'snapshot taken': SnapshotTaken
}

type Listener<Value> = (value: Value) => void

/** Tells listeners at once, in the order in which they came; what they throw goes to `onError`. */
export class Events {
  readonly #listeners: { [Name in keyof ServerEvents]: Set<Listener<ServerEvents[Name]>> } = {
    'backup completed': new Set(),
    'snapshot taken': new Set(),
  }
  readonly #onError: (error: unknown) => void

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  /** @returns how to stop listening */
  on<Name extends keyof ServerEvents>(name: Name, listener: Listener<ServerEvents[Name]>): () => void {
    this.#listeners[name].add(listener)
    return () => void this.#listeners[name].delete(listener)
  }

  emit<Name extends keyof ServerEvents>(name: Name, value: ServerEvents[Name]): void {
    for (const listener of this.#listeners[name]) {
      try {
        listener(value)
      } catch (error) {
        this.#onError(error)
      }
    }
  }
}
