/** What main thread and workers say to each other: plain values, one message for an operation and one for its outcome. */

import type { StorageErrorCode } from '../errors.ts'
import type { Identity, OpenRequest, Permissions } from '../file-system.ts'

/** A named stream that is open. */
export type StreamReference =
  /** An extended attribute holds it. */
  | { readonly kind: 'xattr'; readonly xattr: string }
  /** AFP_AfpInfo, AFP_Resource: wherever they are at the moment. */
  | { readonly kind: 'afp-info' }
  | { readonly kind: 'resource-fork' }
  /** An attribute of this name in the file's sidecar holds it, and it is only read. */
  | { readonly kind: 'embedded'; readonly attribute: string }

/** Whether two handles have one attribute open, which then may get another name. */
export function isSameStream(one: StreamReference | undefined, other: StreamReference | undefined): boolean {
  return one?.kind === 'xattr' && other?.kind === 'xattr' && one.xattr === other.xattr
}

/** A file that is open, as jobs name it. */
export interface NodeReference {
  readonly share: number
  readonly fd: number
  /** Opened with O_PATH: no data, no getdents. */
  readonly pathOnly: boolean
  /** Descriptor of the symbolic link through which the file was opened: the entry that is renamed and removed. */
  readonly link: number | undefined
  readonly identity: Identity | undefined
  /** Absent: the file itself. */
  readonly stream: StreamReference | undefined
}

export interface OpenJob extends OpenRequest {
  readonly share: number
}

export interface Opened {
  readonly ok: true
  readonly fd: number
  readonly pathOnly: boolean
  readonly link: number | undefined
  readonly stream: StreamReference | undefined
  /** As clients see it. */
  readonly streamName: string | undefined
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

/**
 * Numbers that main thread and worker share, by their places in an Int32Array. The worker says which job it begins before it looks
 * at the generation, and the main thread asks for that job after a new generation: so either knows what is never begun.
 */
export const Progress = {
  /** Jobs of earlier generations that have not been begun never are: the disks had stopped. */
  generation: 0,
  /** Id of the last job that was begun. */
  begun: 1,
} as const

export const PROGRESS_NUMBERS = 2

/** What a worker begins with. */
export interface WorkerData {
  readonly progress: Int32Array
}

/** A job on its way to a worker. */
export interface JobMessage {
  /** One more than the last one's, as 32 bits. */
  readonly id: number
  /** Absent: it is done in any case. */
  readonly generation?: number
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
