/** MS-SMB2 3.3.1.13: a request being worked on. */

import type { Header } from '../messages/header.ts'
import type { Session } from './session.ts'

export interface Request {
  readonly header: Header
  /** Request.Session, once it was found. */
  session: Session | undefined
  /** Request.AsyncId; undefined while it is answered synchronously. */
  asyncId: bigint | undefined
  /** Ends a pending request with STATUS_CANCELLED; undefined while it cannot be cancelled. */
  cancel: (() => void) | undefined
}
