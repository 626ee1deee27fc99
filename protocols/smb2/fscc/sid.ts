/** MS-DTYP 2.4.2: SID, its packet form and its text form `S-1-…`. */

import { DecodeError } from '../../wire/errors.ts'
import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'

const SID_REVISION = 1
const MAXIMUM_SUB_AUTHORITIES = 15
const MAXIMUM_AUTHORITY = 0xffff_ffff_ffff
const MAXIMUM_SUB_AUTHORITY = 0xffff_ffff
const FIXED_BYTES = 8
const TEXT = /^S-1-(0x[0-9a-f]{12}|\d{1,10})((?:-\d{1,10}){0,15})$/i

/** A SID in its text form; equal SIDs are equal strings. */
export type Sid = string

/** SIDs that need no domain (MS-DTYP 2.4.2.4). */
export const WellKnownSid = {
  EVERYONE: 'S-1-1-0',
  CREATOR_OWNER: 'S-1-3-0',
  CREATOR_GROUP: 'S-1-3-1',
  OWNER_RIGHTS: 'S-1-3-4',
  NETWORK: 'S-1-5-2',
  ANONYMOUS: 'S-1-5-7',
  AUTHENTICATED_USERS: 'S-1-5-11',
  LOCAL_SYSTEM: 'S-1-5-18',
  BUILTIN_ADMINISTRATORS: 'S-1-5-32-544',
  BUILTIN_USERS: 'S-1-5-32-545',
  BUILTIN_GUESTS: 'S-1-5-32-546',
} as const

/** Bytes of the packet form. */
export function sidBytes(sid: Sid): number {
  return FIXED_BYTES + 4 * (sid.split('-').length - 3)
}

/** Reads a SID at the cursor. @throws DecodeError for another revision, more than 15 sub-authorities, or cut bytes */
export function decodeSid(reader: Reader): Sid {
  const revision = reader.u8()
  const count = reader.u8()
  if (revision !== SID_REVISION) throw new DecodeError(`SID revision ${revision}`)
  // None at all names an authority: the domain that Everyone and CREATOR OWNER belong to (MS-LSAT 3.1.1.1.1).
  if (count > MAXIMUM_SUB_AUTHORITIES) throw new DecodeError(`a SID with ${count} sub-authorities`)
  // IdentifierAuthority is the one big-endian number of the structure.
  const authority = reader.bytes(6).readUIntBE(0, 6)
  const parts = [`S-1-${formatAuthority(authority)}`]
  for (let i = 0; i < count; i++) parts.push(String(reader.u32()))
  return parts.join('-')
}

/** Writes the packet form. @throws DecodeError when the text is no SID */
export function encodeSid(writer: Writer, sid: Sid): void {
  const { authority, subAuthorities } = parseSid(sid)
  const bigEndian = Buffer.alloc(6)
  bigEndian.writeUIntBE(authority, 0, 6)
  writer.u8(SID_REVISION).u8(subAuthorities.length).bytes(bigEndian)
  for (const subAuthority of subAuthorities) writer.u32(subAuthority)
}

/** Takes the text form apart. @throws DecodeError when it is no SID */
export function parseSid(text: string): {
  readonly authority: number
  readonly subAuthorities: readonly number[]
} {
  const match = TEXT.exec(text)
  if (match === null) throw new DecodeError(`"${text}" is not a SID`)
  const authority = Number(match[1])
  const subAuthorities = (match[2] ?? '').split('-').slice(1).map(Number)
  if (authority > MAXIMUM_AUTHORITY || subAuthorities.some((value) => value > MAXIMUM_SUB_AUTHORITY)) {
    throw new DecodeError(`"${text}" is not a SID`)
  }
  return { authority, subAuthorities }
}

/** MS-DTYP 2.4.2.1: decimal below 2^32, otherwise twelve hexadecimal digits. */
function formatAuthority(authority: number): string {
  return authority <= MAXIMUM_SUB_AUTHORITY
    ? String(authority)
    : `0x${authority.toString(16).padStart(12, '0')}`
}
