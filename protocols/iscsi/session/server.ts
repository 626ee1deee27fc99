/** RFC 7143 4.1 and 4.4: an iSCSI target server's tables: target nodes, sessions, and what they may use. */

import type { Environment, Peer } from '../../transport/engine.ts'
import type { LoginTarget } from '../login/login.ts'
import type { ScsiTarget } from '../scsi/task.ts'
import type { Session } from './session.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type Log = (level: LogLevel, message: string, fields?: Record<string, unknown>) => void

/** A target node with its SCSI device. */
export interface TargetNode extends Omit<LoginTarget, 'admits'> {
  readonly scsi: ScsiTarget
  /** @param initiatorName in lower case */
  admits(initiatorName: string, peer: Peer): boolean
}

/** Ours: failed logins by address. */
export interface LoginThrottle {
  /** @returns milliseconds after which the failure is to be told */
  failed(address: string): number
  succeeded(address: string): void
  blocked(address: string): boolean
}

export interface Limits {
  readonly sessions: number
  /** A connection that has not logged in by then is closed. */
  readonly loginMilliseconds: number
  /**
   * Silence after which an initiator is asked whether it is there, and after which it is taken for gone. More than half a minute:
   * libiscsi's programs sleep for one, and answer nothing meanwhile.
   */
  readonly silenceMilliseconds: number
  /** How long what ends a task (management, logout, reinstatement) waits for what the disk does already. */
  readonly settleMilliseconds: number
  /** How long an initiator has to log out when it is asked to. */
  readonly logoutMilliseconds: number
  /** Bytes of Data-Out that a session is asked for at a time, and of Data-In that wait to be sent. */
  readonly dataOutBytes: number
  readonly dataInBytes: number
}

const MEBIBYTE = 1024 * 1024

export const DEFAULT_LIMITS: Limits = {
  sessions: 256,
  loginMilliseconds: 15_000,
  silenceMilliseconds: 45_000,
  settleMilliseconds: 5000,
  logoutMilliseconds: 2000,
  dataOutBytes: 32 * MEBIBYTE,
  dataInBytes: 32 * MEBIBYTE,
}

/** One portal group: all sessions of a target can be had on each address. */
export const PORTAL_GROUP_TAG = 1

export interface IscsiServer {
  /** By name in lower case; replaced as a whole when the configuration is read again. */
  targets: ReadonlyMap<string, TargetNode>
  /** By TSIH. */
  readonly sessions: Map<number, Session>
  readonly limits: Limits
  readonly environment: Environment
  readonly loginThrottle: LoginThrottle
  readonly log: Log
  readonly counters: Counters
}

/** Since the start. */
export interface Counters {
  connections: number
  requests: number
  failedLogins: number
  bytesRead: number
  bytesWritten: number
}
