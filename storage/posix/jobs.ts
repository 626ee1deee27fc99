/** What main thread and workers say to each other: plain values, one message for an operation and one for its outcome. */

import type { StorageErrorCode } from '../errors.ts'
import type { Identity, OpenRequest, Permissions } from '../file-system.ts'

/** A file that is open, as jobs name it. */
export interface NodeReference {
  readonly share: number
  readonly fd: number
  /** Opened with O_PATH: no data, no getdents. */
  readonly pathOnly: boolean
  /** Descriptor of the symbolic link through which the file was opened: the entry that is renamed and removed. */
  readonly link: number | undefined
  readonly identity: Identity | undefined
  /** Extended attribute that holds the named stream; absent: the file itself. */
  readonly stream: string | undefined
}

export interface OpenJob extends OpenRequest {
  readonly share: number
}

export interface Opened {
  readonly ok: true
  readonly fd: number
  readonly pathOnly: boolean
  readonly link: number | undefined
  readonly stream: string | undefined
  readonly created: boolean
  readonly fileCreated: boolean
  readonly path: string
  readonly record: Uint8Array
  readonly permissions: Permissions | undefined
  readonly securityDescriptor: Uint8Array | undefined
  readonly parentDescriptor: Uint8Array | undefined
}

/** Expected failures come back as values: a throw through a message costs more than the open. */
export type OpenReply =
  | Opened
  | {
      readonly ok: false
      readonly error: StorageErrorCode
      readonly parentDescriptor?: Uint8Array
    }

/** A job on its way to a worker. */
export interface JobMessage {
  readonly id: number
  readonly operation: string
  readonly argument: unknown
}

export type ReplyMessage =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | {
      readonly id: number
      readonly ok: false
      /** Absent: a bug in the worker. */
      readonly code: StorageErrorCode | undefined
      readonly message: string
    }
