/** Between the command line and the composition root: what `serve` starts, and what it can ask of it then. */

import type { VolumeUse } from '../../storage/limited/file-system.ts'
import type { LiveAccounts } from '../accounts/live.ts'
import type { SystemUsers } from '../accounts/system-users.ts'
import type { Configuration } from '../config/types.ts'
import type { Events } from '../events.ts'
import type { Logger } from '../logging/logger.ts'
import type { BackupStatus, PoolStatus, ServerStatus, ServerUsage } from '../status/server-status.ts'

export interface StartOptions {
  readonly configuration: Configuration
  /** Loaded; follows changes of the file by itself. */
  readonly accounts: LiveAccounts
  /** Prepared for all names that configuration and accounts refer to, again before each `reload`. */
  readonly systemUsers: SystemUsers
  /** The process may take another identity, and must. */
  readonly isRoot: boolean
  readonly log: Logger
}

export interface RunningListener {
  readonly protocol: 'smb' | 'afp' | 'iscsi'
  /** As bound, `host:port` or `[v6]:port`: a configured port 0 is replaced by the real one. */
  readonly address: string
}

export interface RunningAnnouncement {
  readonly protocol: 'mdns' | 'wsd'
  /** As clients see it; another host may have had the configured one. */
  readonly name: string
  /** Interfaces. */
  readonly links: readonly string[]
}

/** A served folder with a count of what it takes. */
export interface RunningVolume {
  readonly path: string
  /** The account whose folder it is. */
  readonly user?: string
  /** What of its limit is used. */
  use(): Promise<VolumeUse>
}

export interface RunningShare {
  readonly name: string
  /** Folder that is served. */
  readonly path: string
  /** One for each user who has connected, where each has a folder; else one. */
  readonly volumes?: readonly RunningVolume[]
}

/** A server that accepts clients. */
export interface RunningServer {
  /** What happens, for others to act on. */
  readonly events: Events
  readonly listeners: readonly RunningListener[]
  /** How other hosts find it, at this moment. */
  announcements(): readonly RunningAnnouncement[]
  /** As of the last reload. */
  shares(): readonly RunningShare[]
  /** Takes over shares, targets and users; sessions stay. Rejects when it cannot, and then nothing has changed. */
  reload(configuration: Configuration): Promise<void>
  /** Ends all that clients have of shares that a reload has taken away, and closes their storage. */
  releaseShares(shares: readonly RunningShare[]): Promise<void>
  status(): ServerStatus
  usage(): ServerUsage
  /** ZFS pools that something served is on. */
  pools(): readonly PoolStatus[]
  /** What the Macs that back up here have done. */
  backups(): readonly BackupStatus[]
  /** @returns false when there is no such session */
  closeSession(id: string): boolean
  /** @returns false when there is no such open */
  closeFile(id: string): boolean
  /** Says goodbye to the network, stops accepting, lets requests under way finish, flushes, disconnects. */
  close(): Promise<void>
}

/** Rejects when a listener cannot bind or a share cannot be opened, with nothing left running. */
export type StartServer = (options: StartOptions) => Promise<RunningServer>
