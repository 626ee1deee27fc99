/** The thread that makes the system calls of metadata: takes one job after the other from the main thread. */

import { parentPort, workerData } from 'node:worker_threads'
import { StorageError } from '../errors.ts'
import { type JobMessage, Progress, type ReplyMessage, type WorkerData } from './jobs.ts'
import { operations } from './operations.ts'

const table: Readonly<Record<string, (argument: never) => unknown>> = operations

const { progress } = workerData as WorkerData

function perform({ id, operation, argument, generation }: JobMessage): ReplyMessage {
  try {
    Atomics.store(progress, Progress.begun, id)
    if (generation !== undefined && generation !== Atomics.load(progress, Progress.generation)) {
      throw new StorageError('not-ready', 'the disks had stopped before it was begun')
    }
    const run = table[operation]
    if (run === undefined) throw new Error(`no operation "${operation}"`)
    return { id, ok: true, value: run(argument as never) }
  } catch (error) {
    if (error instanceof StorageError) return { id, ok: false, code: error.code, message: error.message }
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { id, ok: false, code: undefined, message }
  }
}

parentPort?.on('message', (job: JobMessage) => parentPort?.postMessage(perform(job)))
