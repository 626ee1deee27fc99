/** MS-SMB2 3.3.1.8 Session and 3.3.1.14 Channel. */

import type { Acceptor } from '../../auth/acceptor.ts'
import type { Cipher } from '../crypto/algorithms.ts'
import type { SessionKeys } from '../crypto/keys.ts'
import type { SigningKey } from '../crypto/signing.ts'
import type { Connection } from './connection.ts'
import type { Open } from './open.ts'
import type { Principal } from './server.ts'
import type { TreeConnect } from './tree-connect.ts'

export type SessionState = 'in-progress' | 'valid' | 'expired'

/** 3.3.1.14: one connection that a session uses. */
export interface Channel {
  readonly connection: Connection
  /** Channel.SigningKey; undefined before authentication, and for guests and anonymous users. */
  readonly signingKey: SigningKey | undefined
  // ours
  /** The authentication exchange under way on it: the first, or a later one that re-authenticates. */
  acceptor: Acceptor | undefined
}

export class Session {
  readonly sessionId: bigint
  state: SessionState = 'in-progress'
  principal: Principal | undefined
  sessionKey: Buffer = Buffer.alloc(0)
  /** Signing, encryption and application keys; the signing key of a bound channel is the channel's. */
  keys: SessionKeys | undefined
  /** Session.SigningKey: signs what binds further channels, until each has a key of its own. */
  signingKey: SigningKey | undefined
  signingRequired = false
  /** Session.EncryptData: every message must be encrypted. */
  encryptData = false
  readonly openTable = new Map<bigint, Open>()
  /** Its opens that watch a directory. */
  watches = 0
  readonly treeConnectTable = new Map<number, TreeConnect>()
  readonly channelList = new Map<Connection, Channel>()
  /** Session.PreauthIntegrityHashValue while it is being set up on the connection. */
  preauthIntegrityHashValue: Buffer | undefined
  /** Milliseconds since 1970; undefined: never. */
  expirationTime: number | undefined
  readonly creationTime: number
  idleTime: number

  // ours
  nextTreeId = 1
  /** Byte-range locks of its opens. */
  lockCount = 0
  /** Its requests that wait for others. */
  pendingRequests = 0
  /** Counts up the nonces of encrypted messages to the client (2.2.41: never used twice). */
  encryptionNonce = 0n
  readonly dialect: number
  /** Connection.CipherId where the session was set up: all its channels have the same. */
  readonly cipherId: Cipher | 0
  /** Client announced by LOGOFF, PreviousSessionId or the connection's end that it is over. */
  closing = false

  constructor(sessionId: bigint, connection: Connection, now: number) {
    this.sessionId = sessionId
    this.dialect = connection.dialect
    this.cipherId = connection.cipherId
    this.creationTime = now
    this.idleTime = now
  }
}
