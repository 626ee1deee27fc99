/** MS-SRVS 3.1.1: what the remote procedures show of the server (ours: given by the composition, so that a pipe knows no state). */

import type { Sid } from '../fscc/sid.ts'

export interface RpcShare {
  readonly name: string
  readonly type: 'disk' | 'ipc'
  readonly comment: string
  /** On this machine, with `/`; '' for IPC$. */
  readonly path: string
  readonly currentUsers: number
  /** Self-relative, when the share has one. */
  readonly securityDescriptor?: Buffer
}

export interface RpcSession {
  /** Host name or address, without `\\`. */
  readonly client: string
  readonly user: string
  readonly openFiles: number
  readonly activeSeconds: number
  readonly idleSeconds: number
  readonly guest: boolean
}

export interface RpcFile {
  /** 32 bits, unique among the open files. */
  readonly id: number
  /** Bits of FilePermission. */
  readonly permissions: number
  readonly locks: number
  /** On this machine, with `/`. */
  readonly path: string
  readonly user: string
}

/** fi3_permissions (MS-SRVS 2.2.4.7). */
export const FilePermission = { READ: 0x1, WRITE: 0x2, CREATE: 0x4 } as const

export interface RpcTreeConnect {
  /** 32 bits. */
  readonly id: number
  readonly share: string
  readonly shareType: 'disk' | 'ipc'
  /** Host name or address, without `\\`. */
  readonly client: string
  readonly user: string
  readonly openFiles: number
  readonly activeSeconds: number
}

/** A user or group of this server (MS-LSAT 3.1.1.1.4: the account domain view). */
export interface RpcAccount {
  readonly kind: 'user' | 'group'
  /** In the account domain; no two accounts have the same. */
  readonly name: string
  readonly sid: Sid
  /** uid or gid. */
  readonly id: number
  /** What the system calls it. */
  readonly unixName: string
}

/** All of them, as of one moment. Names are found in any case. */
export interface RpcAccounts {
  byName(name: string): RpcAccount | undefined
  bySid(sid: Sid): RpcAccount | undefined
  byId(kind: RpcAccount['kind'], id: number): RpcAccount | undefined
  byUnixName(kind: RpcAccount['kind'], unixName: string): RpcAccount | undefined
}

export interface RpcUser {
  readonly kind: 'user' | 'guest' | 'anonymous'
  readonly name: string
  readonly domain: string
}

/** The server as the user of one pipe may see it. */
export interface RpcHost {
  /** Who calls. */
  readonly user: RpcUser
  /** What the SIDs of all accounts begin with. */
  readonly accountDomainSid: Sid
  readonly serverName: string
  /** Workgroup. */
  readonly domainName: string
  readonly comment: string
  /** May see paths, sessions, connections and open files. */
  readonly isAdministrator: boolean
  /** The shares that the caller may see, hidden ones included. */
  shares(): readonly RpcShare[]
  accounts(): RpcAccounts
  sessions(): readonly RpcSession[]
  files(): readonly RpcFile[]
  connections(): readonly RpcTreeConnect[]
  /** Milliseconds since 1970. */
  now(): number
}

/** A path of this machine in the form in which Windows tools show one: on the drive C:. */
export function windowsPath(path: string): string {
  return path === '' ? '' : `C:${path.replaceAll('/', '\\')}`
}
