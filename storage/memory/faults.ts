/** Fault injection: makes an operation fail or wait, so that tests see what a full, broken or slow disk does to the layers above. */

import { StorageError, type StorageErrorCode } from '../errors.ts'
import type { FileHandle, FileSystem } from '../file-system.ts'

/** Every method of the two interfaces that can go wrong. */
export type Operation =
  | Exclude<keyof FileHandle, 'close'>
  | 'open'
  | 'space'
  | 'next'
  | keyof Pick<FileSystem, 'close'>

export class Faults<O extends string = Operation> {
  readonly #failures = new Map<O, StorageErrorCode[]>()
  readonly #delays = new Map<O, Promise<unknown>[]>()

  /** The next `times` calls of an operation fail. */
  failNext(operation: O, code: StorageErrorCode, times = 1): void {
    const list = this.#failures.get(operation) ?? []
    list.push(...Array.from({ length: times }, () => code))
    this.#failures.set(operation, list)
  }

  /** The next call of an operation begins its work when `until` has settled. */
  delayNext(operation: O, until: Promise<unknown>): void {
    const list = this.#delays.get(operation) ?? []
    list.push(until)
    this.#delays.set(operation, list)
  }

  /** Waits and fails as told; for the operations themselves. @throws StorageError */
  async enter(operation: O): Promise<void> {
    const delay = this.#delays.get(operation)?.shift()
    if (delay !== undefined) await delay.catch(() => undefined)
    const code = this.#failures.get(operation)?.shift()
    if (code !== undefined) throw new StorageError(code, `injected into ${operation}`)
  }
}
