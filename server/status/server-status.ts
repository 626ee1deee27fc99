/** What a running server tells about itself: the status page, `/api/status`, `/metrics` and `poolhouse status` show this. */

export interface SessionStatus {
  /** For `poolhouse session close`. */
  readonly id: string
  readonly protocol: 'smb' | 'afp' | 'iscsi'
  /** '' for anonymous; of an iSCSI session the initiator's name. */
  readonly user: string
  readonly address: string
  /** Such as `3.1.1`. */
  readonly dialect: string
  readonly signed: boolean
  readonly encrypted: boolean
  /** ISO 8601. */
  readonly since: string
  readonly idleSeconds: number
}

export interface TreeConnectStatus {
  readonly sessionId: string
  /** Of an iSCSI session the target. */
  readonly share: string
  /** ISO 8601. */
  readonly since: string
}

export interface OpenStatus {
  /** For `poolhouse file close`. */
  readonly id: string
  readonly sessionId: string
  readonly share: string
  /** From the share's root. */
  readonly path: string
  /** Letters of r, w and d (delete). */
  readonly access: string
  /** Byte-range locks held. */
  readonly locks: number
  /** Oplock or lease held, such as `RWH`; '' for none. */
  readonly caching: string
  /** ISO 8601. */
  readonly since: string
}

/** Sums since the start. */
export interface ServerTotals {
  readonly connections: number
  readonly requests: number
  readonly failedLogins: number
  /** Payload of READ and WRITE. */
  readonly bytesRead: number
  readonly bytesWritten: number
}

export interface ServerStatus {
  readonly sessions: readonly SessionStatus[]
  readonly treeConnects: readonly TreeConnectStatus[]
  readonly opens: readonly OpenStatus[]
  readonly totals: ServerTotals
}

/** A ZFS pool that something served is on. */
export interface PoolStatus {
  readonly pool: string
  /** Its disks do not answer; neither do its shares and disks, until somebody helps. */
  readonly suspended: boolean
}

export type BackupKind = 'Time Machine' | 'Windows image' | 'File History'

/** What one Mac's bundle in a Time Machine share says, or what a Windows computer has left; undefined: it does not say so. */
export interface BackupStatus {
  readonly share: string
  readonly kind: BackupKind
  /** The computer's name; of File History with its user's before. */
  readonly mac: string
  /** Its directory in the share. */
  readonly bundle: string
  readonly model: string | undefined
  /** ISO 8601, by the Mac's clock; undefined: none was ever completed. */
  readonly lastCompleted: string | undefined
  readonly secondsSinceCompleted: number | undefined
  /** By the last completed backup. */
  readonly bytesCopied: number | undefined
  /** In the image's volume. */
  readonly bytesUsed: number | undefined
  readonly imageBytes: number | undefined
  /** A client has been writing to it lately. */
  readonly running: boolean
  /** The Mac found the image damaged, and will want to begin anew. */
  readonly verificationFailed: boolean
  /** No backup was completed for the days that the share allows. */
  readonly stale: boolean
  /** Files in it that could not be understood. */
  readonly unreadable: readonly string[]
}

/** Something that clients make the server keep, and may not have any number of. */
export interface LimitStatus {
  /** Such as `open_files`. */
  readonly what: string
  readonly used: number
  /** Of all clients together. */
  readonly limit: number
  /** Requests that were refused since the start, because of this limit or a client's own. */
  readonly refused: number
}

/** What can be asked often: it costs the same, however much is open. */
export interface ServerUsage {
  readonly limits: readonly LimitStatus[]
  readonly totals: ServerTotals
}
