/** MS-SMB2 3.3.1.9: a share that a session uses. */

import type { Admission, Share } from './server.ts'
import type { Session } from './session.ts'

export interface TreeConnect {
  readonly treeId: number
  readonly session: Session
  readonly share: Share
  /** TreeConnect.MaximalAccess, an access mask. */
  readonly maximalAccess: number
  readonly creationTime: number
  // ours
  readonly admission: Admission
}
