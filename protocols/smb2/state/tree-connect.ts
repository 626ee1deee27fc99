/** MS-SMB2 3.3.1.9: a share that a session uses. */

import type { Admission, Share } from './server.ts'
import type { Session } from './session.ts'

/** A tree as someone may use it: a tree connect's, or a previous version of that. */
export type Tree = Readonly<Pick<TreeConnect, 'share' | 'admission' | 'maximalAccess'>>

export interface TreeConnect {
  readonly treeId: number
  readonly session: Session
  readonly share: Share
  /** TreeConnect.MaximalAccess, an access mask. */
  maximalAccess: number
  readonly creationTime: number
  // ours
  /** What the session's user may do here; changes when another user authenticates. */
  admission: Admission
  /** The session's user of now may not use the share: only what was opened before goes on. */
  revoked: boolean
}
