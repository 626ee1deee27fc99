/** MS-DTYP 2.4.4 and 2.4.5: ACE and ACL. */

import { DecodeError } from '../../wire/errors.ts'
import type { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
import { decodeSid, encodeSid, type Sid } from './sid.ts'

/** AceType values that grant, deny or audit plain rights; all others are kept as bytes. */
export const AceType = {
  ACCESS_ALLOWED: 0x00,
  ACCESS_DENIED: 0x01,
  SYSTEM_AUDIT: 0x02,
  SYSTEM_MANDATORY_LABEL: 0x11,
} as const

export const AceFlag = {
  OBJECT_INHERIT: 0x01,
  CONTAINER_INHERIT: 0x02,
  NO_PROPAGATE_INHERIT: 0x04,
  INHERIT_ONLY: 0x08,
  INHERITED: 0x10,
  SUCCESSFUL_ACCESS: 0x40,
  FAILED_ACCESS: 0x80,
} as const

/** An ACE of mask and SID, or, where `data` is there instead, of a type that is only passed on. */
export type Ace =
  | {
      readonly type: number
      readonly flags: number
      readonly mask: number
      readonly sid: Sid
    }
  | { readonly type: number; readonly flags: number; readonly data: Buffer }

export interface Acl {
  /** 2, or 4 when object ACEs occur. */
  readonly revision: number
  readonly aces: readonly Ace[]
}

const ACL_REVISION = 2
const ACL_REVISION_DS = 4
const ACL_HEADER_BYTES = 8
const ACE_HEADER_BYTES = 4
/** AclSize has 16 bits. */
export const MAXIMUM_ACL_BYTES = 0xffff

const MASK_AND_SID_TYPES: ReadonlySet<number> = new Set(Object.values(AceType))

/** Reads an ACL at the cursor; its ACEs own their bytes. @throws DecodeError when sizes and count do not agree */
export function decodeAcl(reader: Reader): Acl {
  const start = reader.offset
  const revision = reader.u8()
  reader.skip(1)
  const aclSize = reader.u16()
  const aceCount = reader.u16()
  if (revision !== ACL_REVISION && revision !== ACL_REVISION_DS)
    throw new DecodeError(`ACL revision ${revision}`)
  if (aclSize < ACL_HEADER_BYTES + aceCount * ACE_HEADER_BYTES)
    throw new DecodeError('an ACL too small for its ACEs')
  const body = reader.sub(start, aclSize)
  body.seek(ACL_HEADER_BYTES)
  const aces: Ace[] = []
  for (let i = 0; i < aceCount; i++) aces.push(decodeAce(body))
  return { revision, aces }
}

function decodeAce(acl: Reader): Ace {
  const start = acl.offset
  const type = acl.u8()
  const flags = acl.u8()
  const aceSize = acl.u16()
  if (aceSize < ACE_HEADER_BYTES) throw new DecodeError(`an ACE of ${aceSize} bytes`)
  const ace = acl.sub(start, aceSize)
  acl.seek(start + aceSize)
  ace.seek(ACE_HEADER_BYTES)
  if (!MASK_AND_SID_TYPES.has(type)) return { type, flags, data: Buffer.from(ace.rest()) }
  return { type, flags, mask: ace.u32(), sid: decodeSid(ace) }
}

/** Writes an ACL. @throws DecodeError when it would exceed MAXIMUM_ACL_BYTES */
export function encodeAcl(writer: Writer, acl: Acl): void {
  const start = writer.length
  writer.u8(acl.revision).u8(0)
  const aclSize = writer.reserve(2)
  writer.u16(acl.aces.length).u16(0)
  for (const ace of acl.aces) {
    const aceStart = writer.length
    writer.u8(ace.type).u8(ace.flags)
    const aceSize = writer.reserve(2)
    if ('sid' in ace) encodeSid(writer.u32(ace.mask), ace.sid)
    else writer.bytes(ace.data)
    if (writer.length - start > MAXIMUM_ACL_BYTES) throw new DecodeError('an ACL of more than 65,535 bytes')
    writer.patch(aceSize, writer.length - aceStart)
  }
  writer.patch(aclSize, writer.length - start)
}

/** An ACL of these ACEs with the ordinary revision. */
export function makeAcl(aces: readonly Ace[]): Acl {
  return { revision: ACL_REVISION, aces }
}

/** Bytes of the encoded ACL. */
export function aclBytes(acl: Acl): number {
  const writer = new Writer()
  encodeAcl(writer, acl)
  return writer.length
}
