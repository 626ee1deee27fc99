/** What the run of a command gives back (MS-SMB2 3.3.4.1): values that the dispatcher turns into responses. */

import type { NtStatus } from './status.ts'

/** Bytes that follow a response's encoded head without being copied into it. */
export interface Payload {
  readonly data: Buffer
  /** Gives the memory back when the bytes were sent, or never will be. */
  release?(): void
}

export type Outcome<Body> =
  /** The command's own response; `status` may be a warning such as STATUS_BUFFER_OVERFLOW. */
  | { readonly kind: 'ok'; readonly status: NtStatus; readonly body: Body; readonly payload?: Payload }
  /** The ERROR Response (2.2.2), with `errorData` where the status has some. */
  | { readonly kind: 'fail'; readonly status: NtStatus; readonly errorData?: Buffer }
  /** May take as long as others please: an interim response goes out, and CANCEL ends it. */
  | { readonly kind: 'pending'; readonly completion: Promise<Outcome<Body>>; cancel(): void }
  | { readonly kind: 'disconnect'; readonly reason: string }
  /** No response is sent. */
  | { readonly kind: 'silent' }

export const STATUS_SUCCESS = 0

/** The command's response with a status that is not an error. */
export function ok<Body>(body: Body, status: NtStatus = STATUS_SUCCESS, payload?: Payload): Outcome<Body> {
  return payload === undefined ? { kind: 'ok', status, body } : { kind: 'ok', status, body, payload }
}

/** An ERROR Response. */
export function fail(status: NtStatus, errorData?: Buffer): Outcome<never> {
  return errorData === undefined ? { kind: 'fail', status } : { kind: 'fail', status, errorData }
}

/** The connection is to be closed; nothing is answered. */
export function disconnect(reason: string): Outcome<never> {
  return { kind: 'disconnect', reason }
}

export const SILENT: Outcome<never> = { kind: 'silent' }
