/** What the checks of the suite `mac` stand on: a running server, its share's directory, and Macs that mount it. */

import { expect, type Report } from '../report.ts'
import type { Server } from '../server-process.ts'
import { type MacClient, MacError, type MacOptions } from './client.ts'

export interface Scene {
  readonly report: Report
  readonly server: Server
  /** The share's directory on this machine. */
  readonly path: string
  /** A share on a small file system of its own, when there can be one. */
  readonly small: { readonly share: string; readonly path: string } | undefined
  /** A Mac with the share mounted. */
  mount(differs?: Partial<MacOptions>): Promise<MacClient>
}

/** NTSTATUS values that the checks tell apart. */
export const Status = {
  SUCCESS: 0,
  PENDING: 0x103,
  INVALID_PARAMETER: 0xc000_000d,
  USER_SESSION_DELETED: 0xc000_0203,
  SHARING_VIOLATION: 0xc000_0043,
  OBJECT_NAME_NOT_FOUND: 0xc000_0034,
  OBJECT_PATH_NOT_FOUND: 0xc000_003a,
  OBJECT_NAME_COLLISION: 0xc000_0035,
  DISK_FULL: 0xc000_007f,
  NOT_IMPLEMENTED: 0xc000_0002,
} as const

/** Expects that a command fails with a status. @throws CheckError when it does not */
export async function refused(status: number, what: string, command: Promise<unknown>): Promise<void> {
  const result = await command.then(
    () => 'succeeded',
    (error: unknown) => (error instanceof MacError ? error.status : String(error)),
  )
  const shown = typeof result === 'number' ? `0x${result.toString(16)}` : result
  expect(result === status, `${what}: ${shown} instead of 0x${status.toString(16)}`)
}

/** @throws CheckError unless both are the same */
export function same<T>(found: T, wanted: T, what: string): void {
  expect(found === wanted, `${what} is ${String(found)}, not ${String(wanted)}`)
}
