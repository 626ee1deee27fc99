/** The thread that makes the system calls of metadata: takes one job after the other from the main thread. */

import { parentPort } from 'node:worker_threads'
import { StorageError } from '../errors.ts'
import type { JobMessage, ReplyMessage } from './jobs.ts'
import { operations } from './operations.ts'

const table: Readonly<Record<string, (argument: never) => unknown>> = operations

function perform({ id, operation, argument }: JobMessage): ReplyMessage {
  try {
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
