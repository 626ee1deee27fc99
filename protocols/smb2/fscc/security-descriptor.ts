/** MS-DTYP 2.4.6: SECURITY_DESCRIPTOR in its self-relative form, and its parts as SECURITY_INFORMATION (2.4.7) selects them. */

import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import { type Slot, Writer } from '../../wire/writer.ts'
import { type Acl, decodeAcl, encodeAcl } from './acl.ts'
import { decodeSid, encodeSid, type Sid } from './sid.ts'

/** Bits of Control. */
export const SecurityDescriptorControl = {
  OWNER_DEFAULTED: 0x0001,
  GROUP_DEFAULTED: 0x0002,
  DACL_PRESENT: 0x0004,
  DACL_DEFAULTED: 0x0008,
  SACL_PRESENT: 0x0010,
  SACL_DEFAULTED: 0x0020,
  DACL_TRUSTED: 0x0040,
  SERVER_SECURITY: 0x0080,
  DACL_AUTO_INHERIT_REQ: 0x0100,
  SACL_AUTO_INHERIT_REQ: 0x0200,
  DACL_AUTO_INHERITED: 0x0400,
  SACL_AUTO_INHERITED: 0x0800,
  DACL_PROTECTED: 0x1000,
  SACL_PROTECTED: 0x2000,
  RM_CONTROL_VALID: 0x4000,
  SELF_RELATIVE: 0x8000,
} as const

const Control = SecurityDescriptorControl

/** Bits of SECURITY_INFORMATION: AdditionalInformation of QUERY_INFO and SET_INFO. */
export const SecurityInformation = {
  OWNER: 0x0000_0001,
  GROUP: 0x0000_0002,
  DACL: 0x0000_0004,
  SACL: 0x0000_0008,
  LABEL: 0x0000_0010,
  ATTRIBUTE: 0x0000_0020,
  SCOPE: 0x0000_0040,
  BACKUP: 0x0001_0000,
  UNPROTECTED_SACL: 0x1000_0000,
  UNPROTECTED_DACL: 0x2000_0000,
  PROTECTED_SACL: 0x4000_0000,
  PROTECTED_DACL: 0x8000_0000,
} as const

/** A list that is absent is undefined; one that is present and NULL (everything is allowed) is null. */
export interface SecurityDescriptor {
  /** Bits of SecurityDescriptorControl; the PRESENT bits and SELF_RELATIVE follow from the parts when it is encoded. */
  readonly control: number
  readonly owner?: Sid
  readonly group?: Sid
  readonly dacl?: Acl | null
  readonly sacl?: Acl | null
}

const SECURITY_DESCRIPTOR_REVISION = 1
const HEADER_BYTES = 20
/** Windows stores no descriptor above 64 KiB. */
export const MAXIMUM_SECURITY_DESCRIPTOR_BYTES = 65_536

/** @throws DecodeError when it is too long, not self-relative, or a part lies outside or is malformed */
export function decodeSecurityDescriptor(buffer: Buffer): SecurityDescriptor {
  if (buffer.length > MAXIMUM_SECURITY_DESCRIPTOR_BYTES)
    throw new DecodeError('a security descriptor above 64 KiB')
  const reader = new Reader(buffer)
  const revision = reader.u8()
  reader.skip(1)
  const control = reader.u16()
  const offsets = {
    owner: reader.u32(),
    group: reader.u32(),
    sacl: reader.u32(),
    dacl: reader.u32(),
  }
  if (revision !== SECURITY_DESCRIPTOR_REVISION)
    throw new DecodeError(`security descriptor revision ${revision}`)
  if ((control & Control.SELF_RELATIVE) === 0)
    throw new DecodeError('a security descriptor that is not self-relative')
  const at = (offset: number): Reader => {
    if (offset < HEADER_BYTES) throw new DecodeError('a part of a security descriptor overlaps its header')
    return reader.seek(offset)
  }
  const acl = (offset: number): Acl | null => (offset === 0 ? null : decodeAcl(at(offset)))
  return {
    control,
    ...(offsets.owner === 0 ? {} : { owner: decodeSid(at(offsets.owner)) }),
    ...(offsets.group === 0 ? {} : { group: decodeSid(at(offsets.group)) }),
    ...(control & Control.DACL_PRESENT ? { dacl: acl(offsets.dacl) } : {}),
    ...(control & Control.SACL_PRESENT ? { sacl: acl(offsets.sacl) } : {}),
  }
}

/** The self-relative form: owner, group, SACL, DACL. @throws DecodeError when a SID is none or a list is too long */
export function encodeSecurityDescriptor(descriptor: SecurityDescriptor): Buffer {
  const { owner, group, dacl, sacl } = descriptor
  const writer = new Writer()
  const present =
    (dacl === undefined ? 0 : Control.DACL_PRESENT) | (sacl === undefined ? 0 : Control.SACL_PRESENT)
  const others = descriptor.control & ~(Control.DACL_PRESENT | Control.SACL_PRESENT)
  writer
    .u8(SECURITY_DESCRIPTOR_REVISION)
    .u8(0)
    .u16(others | present | Control.SELF_RELATIVE)
  const slots = {
    owner: writer.reserve(4),
    group: writer.reserve(4),
    sacl: writer.reserve(4),
    dacl: writer.reserve(4),
  }
  const part = <T>(
    slot: Slot,
    value: T | null | undefined,
    encode: (writer: Writer, value: T) => void,
  ): void => {
    if (value === undefined || value === null) return
    writer.patchOffset(slot)
    encode(writer, value)
  }
  part(slots.owner, owner, encodeSid)
  part(slots.group, group, encodeSid)
  part(slots.sacl, sacl, encodeAcl)
  part(slots.dacl, dacl, encodeAcl)
  return writer.finish()
}

const OWNER_CONTROL = Control.OWNER_DEFAULTED
const GROUP_CONTROL = Control.GROUP_DEFAULTED
const DACL_CONTROL =
  Control.DACL_DEFAULTED |
  Control.DACL_AUTO_INHERIT_REQ |
  Control.DACL_AUTO_INHERITED |
  Control.DACL_PROTECTED
const SACL_CONTROL =
  Control.SACL_DEFAULTED |
  Control.SACL_AUTO_INHERIT_REQ |
  Control.SACL_AUTO_INHERITED |
  Control.SACL_PROTECTED

/** The parts, and the control bits that belong to them, which SECURITY_INFORMATION bits ask for. */
export function selectSecurity(
  descriptor: SecurityDescriptor,
  securityInformation: number,
): SecurityDescriptor {
  const wanted = (bit: number): boolean => (securityInformation & bit) !== 0
  const { owner, group, dacl, sacl, control } = descriptor
  return {
    control: control & controlOf(securityInformation),
    ...(wanted(SecurityInformation.OWNER) && owner !== undefined ? { owner } : {}),
    ...(wanted(SecurityInformation.GROUP) && group !== undefined ? { group } : {}),
    ...(wanted(SecurityInformation.DACL) && dacl !== undefined ? { dacl } : {}),
    ...(wanted(SecurityInformation.SACL) && sacl !== undefined ? { sacl } : {}),
  }
}

/**
 * What is stored after a SET of some parts: those that `securityInformation` names come from `update`, the rest
 * from `existing`. A DACL that is named and absent from the update becomes NULL, a SACL is removed.
 */
export function mergeSecurity(
  existing: SecurityDescriptor,
  update: SecurityDescriptor,
  securityInformation: number,
): SecurityDescriptor {
  const from = (bit: number): SecurityDescriptor => ((securityInformation & bit) === 0 ? existing : update)
  const owner = from(SecurityInformation.OWNER).owner ?? existing.owner
  const group = from(SecurityInformation.GROUP).group ?? existing.group
  const setsDacl = (securityInformation & SecurityInformation.DACL) !== 0
  // MS-DTYP 2.4.6: a list that is not present grants everything, as one that is NULL does.
  const dacl = setsDacl ? (update.dacl ?? null) : existing.dacl
  const { sacl } = from(SecurityInformation.SACL)
  const replaced = controlOf(securityInformation)
  const control = (existing.control & ~replaced) | (inheritedControl(update.control) & replaced)
  return {
    control: protectedControl(control, securityInformation),
    ...(owner === undefined ? {} : { owner }),
    ...(group === undefined ? {} : { group }),
    ...(dacl === undefined ? {} : { dacl }),
    ...(sacl === undefined ? {} : { sacl }),
  }
}

function controlOf(securityInformation: number): number {
  let mask = 0
  if (securityInformation & SecurityInformation.OWNER) mask |= OWNER_CONTROL
  if (securityInformation & SecurityInformation.GROUP) mask |= GROUP_CONTROL
  if (securityInformation & SecurityInformation.DACL) mask |= DACL_CONTROL
  if (securityInformation & SecurityInformation.SACL) mask |= SACL_CONTROL
  return mask
}

/** AUTO_INHERITED is kept when it was asked for with AUTO_INHERIT_REQ, which itself is never stored. */
function inheritedControl(control: number): number {
  let kept = control & ~(Control.DACL_AUTO_INHERIT_REQ | Control.SACL_AUTO_INHERIT_REQ)
  if ((control & Control.DACL_AUTO_INHERIT_REQ) === 0) kept &= ~Control.DACL_AUTO_INHERITED
  if ((control & Control.SACL_AUTO_INHERIT_REQ) === 0) kept &= ~Control.SACL_AUTO_INHERITED
  return kept
}

function protectedControl(control: number, securityInformation: number): number {
  let result = control
  if (securityInformation & SecurityInformation.PROTECTED_DACL) result |= Control.DACL_PROTECTED
  if (securityInformation & SecurityInformation.UNPROTECTED_DACL) result &= ~Control.DACL_PROTECTED
  if (securityInformation & SecurityInformation.PROTECTED_SACL) result |= Control.SACL_PROTECTED
  if (securityInformation & SecurityInformation.UNPROTECTED_SACL) result &= ~Control.SACL_PROTECTED
  return result
}
