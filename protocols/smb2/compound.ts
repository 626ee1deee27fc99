/** MS-SMB2 3.3.5.2.7: splitting a frame into the requests of a compound, and what related ones inherit. Pure. */

import { DecodeError } from '../wire/errors.ts'
import { Reader } from '../wire/reader.ts'
import { decodeHeader, HEADER_BYTES, type Header, HeaderFlag } from './messages/header.ts'
import type { Open } from './state/open.ts'
import type { Session } from './state/session.ts'
import type { TreeConnect } from './state/tree-connect.ts'
import type { NtStatus } from './status.ts'

/** Members of a compound begin at multiples of this (2.2.1.2 NextCommand). */
export const COMPOUND_ALIGNMENT_BYTES = 8

/** One request of a frame. */
export interface Member {
  readonly header: Header
  /** From the header to the end of the member, with its padding: what a signature covers. */
  readonly message: Buffer
}

/**
 * Splits a frame into its requests.
 * @throws DecodeError when NextCommand is misaligned, too small or points outside, a header is
 * not SMB2's, or there are more than `limit` members: the connection is to be closed
 */
export function splitCompound(frame: Buffer, limit: number): Member[] {
  const members: Member[] = []
  let at = 0
  for (;;) {
    if (members.length === limit) throw new DecodeError(`a compound of more than ${limit} requests`)
    const header = decodeHeader(new Reader(frame, at))
    const next = header.nextCommand
    if (next === 0) {
      members.push({ header, message: frame.subarray(at) })
      return members
    }
    if (next % COMPOUND_ALIGNMENT_BYTES !== 0 || next < HEADER_BYTES || at + next > frame.length) {
      throw new DecodeError(`NextCommand ${next} is misaligned or outside the frame`)
    }
    members.push({ header, message: frame.subarray(at, at + next) })
    at += next
  }
}

export function isRelated(header: Header): boolean {
  return (header.flags & HeaderFlag.RELATED_OPERATIONS) !== 0
}

/** What the request before left for those that are related to it (3.3.5.2.7.2). */
export class CompoundChain {
  session: Session | undefined
  treeConnect: TreeConnect | undefined
  open: Open | undefined
  /** Why there is no open: what a related request that wants one is answered. */
  failure: NtStatus | undefined
  /** The request before had no valid session: related ones are INVALID_PARAMETER. */
  broken = true

  /** An unrelated request begins anew. */
  restart(): void {
    this.session = undefined
    this.treeConnect = undefined
    this.open = undefined
    this.failure = undefined
    this.broken = true
  }
}
