/** MS-SMB2 3.3.1.7: one transport connection. */

import type { Acceptor } from '../../auth/acceptor.ts'
import type { Effect, Peer } from '../../transport/engine.ts'
import { CommandSequenceWindow } from '../credits.ts'
import type { Cipher, SigningAlgorithm } from '../crypto/algorithms.ts'
import type { Request } from './request.ts'
import type { Session } from './session.ts'

/** Connection.PreauthSessionTable: an exchange that binds a session to the connection. */
export interface Binding {
  readonly acceptor: Acceptor
  preauthIntegrityHashValue: Buffer | undefined
}

/** How FileIdBothDirectoryInformation is laid out for a Mac. */
export interface AaplListing {
  /** Rights, resource fork and Finder's information take the place of fields that only Windows knows. */
  readonly readDirAttr: boolean
  /** Entries without streams are marked. */
  readonly readDirAttrV2: boolean
}

export class Connection {
  readonly peer: Peer
  readonly commandSequenceWindow = new CommandSequenceWindow()
  /** Connection.RequestList: requests being worked on, by message id. */
  readonly requestList = new Map<bigint, Request>()
  /** Connection.AsyncCommandList, by AsyncId. */
  readonly asyncCommandList = new Map<bigint, Request>()
  /** Sessions that were set up, or are being, on this connection. */
  readonly sessionTable = new Map<bigint, Session>()
  /** By SessionId. */
  readonly preauthSessionTable = new Map<bigint, Binding>()
  /** Connection.NegotiateDialect: undefined before NEGOTIATE, wildcard between the SMB1 and the SMB2 one. */
  negotiateDialect: number | undefined
  /** Connection.Dialect: 0 before NEGOTIATE. */
  dialect = 0
  clientCapabilities = 0
  clientSecurityMode = 0
  clientGuid: Buffer = Buffer.alloc(16)
  serverCapabilities = 0
  serverSecurityMode = 0
  /** Connection.ClientDialects, for FSCTL_VALIDATE_NEGOTIATE_INFO. */
  clientDialects: readonly number[] = []
  supportsMultiCredit = false
  /** Connection.PreauthIntegrityHashValue after NEGOTIATE; undefined below 3.1.1. */
  preauthIntegrityHashValue: Buffer | undefined
  cipherId: Cipher | 0 = 0
  signingAlgorithmId: SigningAlgorithm | undefined
  maxTransactSize = 65536
  maxReadSize = 65536
  maxWriteSize = 65536
  readonly creationTime: number

  // ours
  /** The client asked for Apple's extensions in a create context: it is a Mac. */
  negotiatedAapl = false
  /** Of Apple's extensions, what listings have; all false before they were negotiated. */
  aapl: AaplListing = { readDirAttr: false, readDirAttrV2: false }
  /** Set when the transport is gone or is to go: nothing more is sent. */
  closed = false
  nextAsyncId = 1n
  /** Bytes between the head and the data of READ Responses, which only test suites ask for. */
  readPadding = 0
  /**
   * A time that the client sets stays until it writes through another open (MS-FSA 2.1.1.6). False for clients that
   * count on the write time to move with their next WRITE, as POSIX has it.
   */
  keepsSetTimes = true
  bytesReceived = 0
  bytesSent = 0
  /** For tests alone: called when the notification of a break was sent. */
  onBreakSent: (() => void) | undefined

  /** Bytes of received frames in use and of payloads to be sent. */
  #bytesInFlight = 0
  /** Reading from the peer is switched off until some of them are done with. */
  /** POSIX extensions were negotiated: opens may have their rules. */
  posixExtensions = false
  #paused = false
  readonly #bytesInFlightLimit: number
  readonly #sink: (effect: Effect) => void

  /**
   * @param bytesInFlightLimit past this many bytes in use nothing more is read from the peer
   * @param sink takes what is to be sent
   */
  constructor(peer: Peer, now: number, bytesInFlightLimit: number, sink: (effect: Effect) => void) {
    this.peer = peer
    this.#bytesInFlightLimit = bytesInFlightLimit
    this.#sink = sink
    this.creationTime = now
  }

  /** Hands an effect to the transport, unless the connection is gone. */
  apply(effect: Effect): void {
    if (this.closed) {
      if (effect.kind === 'send') effect.release?.()
      return
    }
    this.#sink(effect)
  }

  /** Counts bytes in use; reads no further while they are too many. */
  account(bytes: number): void {
    this.#bytesInFlight += bytes
    const full = this.#bytesInFlight > this.#bytesInFlightLimit
    if (full === this.#paused) return
    this.#paused = full
    this.apply({ kind: 'reading', enabled: !full })
  }

  /** Closes the connection from this side; what was sent before still goes out. */
  disconnect(reason: string): void {
    this.apply({ kind: 'disconnect', reason })
    this.closed = true
  }
}
