/** RFC 7143 4.4.3: one of the connections of a session, with what is its own: CID, StatSN, digests, MaxRecvDataSegmentLength. */

import type { Peer } from '../../transport/engine.ts'
import type { Parameters } from '../login/parameters.ts'
import type { Sender } from './sender.ts'

export interface SessionConnection {
  readonly cid: number
  readonly peer: Peer
  readonly sender: Sender
  /** The session's, but for the keys that each connection has for itself. */
  readonly parameters: Parameters
}
