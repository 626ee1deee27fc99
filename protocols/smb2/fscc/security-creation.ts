/** MS-DTYP 2.5.3.4: CreateSecurityDescriptor and its parts: what a new file or directory inherits, and who may do what with it. Pure. */

import { FILE_ALL_ACCESS, GENERIC_ACCESS_MASK, mapGenericAccess } from './access.ts'
import { type Ace, AceFlag, AceType, type Acl, makeAcl } from './acl.ts'
import { type SecurityDescriptor, SecurityDescriptorControl } from './security-descriptor.ts'
import { type Sid, WellKnownSid } from './sid.ts'

const { OBJECT_INHERIT, CONTAINER_INHERIT, NO_PROPAGATE_INHERIT, INHERIT_ONLY, INHERITED } = AceFlag
const Control = SecurityDescriptorControl
const INHERITANCE_FLAGS = OBJECT_INHERIT | CONTAINER_INHERIT | NO_PROPAGATE_INHERIT | INHERIT_ONLY

/** Parameters of CreateSecurityDescriptor (2.5.3.4.1). */
export interface Creation {
  /** ParentDescriptor: the one stored with the directory. */
  readonly parent: SecurityDescriptor | undefined
  /** CreatorDescriptor: what the client gave along. */
  readonly creator: SecurityDescriptor | undefined
  /** IsContainerObject */
  readonly isContainer: boolean
  /** Without anything to inherit owner and mode decide, instead of Token.DefaultDACL (ours). */
  readonly modesByDefault?: boolean
  /** Of the token. */
  readonly owner: Sid
  readonly group: Sid
}

/** @returns undefined when neither parent nor creator says anything: then owner and mode stand for it */
export function createSecurityDescriptor(creation: Creation): SecurityDescriptor | undefined {
  const { parent, creator } = creation
  if (creator === undefined && (parent?.dacl === undefined || parent.dacl === null)) return undefined
  const owner = creator?.owner ?? creation.owner
  const group = creator?.group ?? creation.group
  const heirs = { isContainer: creation.isContainer, owner, group }
  const dacl = computeAcl(DACL_BITS, parent, creator, heirs)
  const sacl = computeAcl(SACL_BITS, parent, creator, heirs)
  if (creator === undefined && creation.modesByDefault && (dacl.acl ?? sacl.acl) === undefined)
    return undefined
  return {
    control: dacl.control | sacl.control,
    owner,
    group,
    dacl: dacl.acl === undefined ? defaultDacl(owner) : dacl.acl,
    ...(sacl.acl !== undefined && { sacl: sacl.acl }),
  }
}

interface Heirs {
  readonly isContainer: boolean
  readonly owner: Sid
  readonly group: Sid
}

/** Where the two lists of a descriptor and their control bits are. */
interface AclBits {
  readonly of: (descriptor: SecurityDescriptor) => Acl | null | undefined
  readonly autoInherited: number
  readonly isProtected: number
  readonly defaulted: number
}

const DACL_BITS: AclBits = {
  of: (descriptor) => descriptor.dacl,
  autoInherited: Control.DACL_AUTO_INHERITED,
  isProtected: Control.DACL_PROTECTED,
  defaulted: Control.DACL_DEFAULTED,
}
const SACL_BITS: AclBits = {
  of: (descriptor) => descriptor.sacl,
  autoInherited: Control.SACL_AUTO_INHERITED,
  isProtected: Control.SACL_PROTECTED,
  defaulted: Control.SACL_DEFAULTED,
}

/** 2.5.3.4.2 ComputeACL. The list is undefined when neither side has one. */
function computeAcl(
  bits: AclBits,
  parent: SecurityDescriptor | undefined,
  creator: SecurityDescriptor | undefined,
  heirs: Heirs,
): { readonly acl: Acl | null | undefined; readonly control: number } {
  const above = parent === undefined ? undefined : bits.of(parent)
  // Whoever gave the directory its list has asked for automatic inheritance, or has not.
  const isAutomatic = ((parent?.control ?? 0) & bits.autoInherited) !== 0
  const inherited = above === undefined || above === null ? [] : inheritAces(above, heirs, isAutomatic)
  const own = creator === undefined ? undefined : bits.of(creator)
  const given = creator !== undefined && (creator.control & bits.defaulted) === 0 ? own : undefined
  if (given === undefined) {
    const control = isAutomatic && inherited.length > 0 ? bits.autoInherited : 0
    return { acl: inherited.length > 0 ? makeAcl(inherited) : undefined, control }
  }
  const kept = (creator?.control ?? 0) & bits.isProtected
  if (given === null) return { acl: null, control: kept }
  const aces = given.aces.map(withMappedRights)
  if (kept !== 0 || !isAutomatic) return { acl: { ...given, aces }, control: kept }
  // What is marked as inherited was inherited from elsewhere: this directory decides.
  const explicit = aces.filter((ace) => (ace.flags & INHERITED) === 0)
  return { acl: { ...given, aces: [...explicit, ...inherited] }, control: bits.autoInherited }
}

/** 2.5.3.4.3 ContainerInheritedACEs and its like for objects: the ACEs of a new child. */
function inheritAces(parent: Acl, heirs: Heirs, isAutomatic: boolean): Ace[] {
  const mark = isAutomatic ? INHERITED : 0
  return parent.aces.flatMap((ace) =>
    heirs.isContainer ? forContainer(ace, heirs, mark) : forObject(ace, heirs, mark),
  )
}

function forObject(ace: Ace, heirs: Heirs, mark: number): Ace[] {
  return (ace.flags & OBJECT_INHERIT) === 0 ? [] : [effective(ace, heirs, mark)]
}

function forContainer(ace: Ace, heirs: Heirs, mark: number): Ace[] {
  const ends = (ace.flags & NO_PROPAGATE_INHERIT) !== 0
  const passedOn = ace.flags & (OBJECT_INHERIT | CONTAINER_INHERIT)
  if ((ace.flags & CONTAINER_INHERIT) === 0) {
    // Meant for files alone, it only passes through.
    const passes = (ace.flags & OBJECT_INHERIT) !== 0 && !ends
    return passes ? [withFlags(ace, passedOn | INHERIT_ONLY, mark)] : []
  }
  const applied = effective(ace, heirs, mark)
  if (ends) return [applied]
  // CREATOR OWNER and generic rights are settled here, and stay unsettled for what is made below.
  if (isUnsettled(ace)) return [applied, withFlags(ace, passedOn | INHERIT_ONLY, mark)]
  return [withFlags(applied, passedOn, mark)]
}

function isUnsettled(ace: Ace): boolean {
  if (!('sid' in ace)) return false
  return (
    ace.sid === WellKnownSid.CREATOR_OWNER ||
    ace.sid === WellKnownSid.CREATOR_GROUP ||
    (ace.mask & GENERIC_ACCESS_MASK) !== 0
  )
}

/** The ACE as it decides about the child itself. */
function effective(ace: Ace, { owner, group }: Heirs, mark: number): Ace {
  const plain = withFlags(withMappedRights(ace), 0, mark)
  if (!('sid' in plain)) return plain
  if (plain.sid === WellKnownSid.CREATOR_OWNER) return { ...plain, sid: owner }
  if (plain.sid === WellKnownSid.CREATOR_GROUP) return { ...plain, sid: group }
  return plain
}

function withFlags(ace: Ace, inheritance: number, mark: number): Ace {
  return { ...ace, flags: (ace.flags & ~(INHERITANCE_FLAGS | INHERITED)) | inheritance | mark }
}

/** Token.DefaultDACL: everything for the owner and for the system, nothing for others. */
function defaultDacl(owner: Sid): Acl {
  const allow = (sid: Sid): Ace => ({ type: AceType.ACCESS_ALLOWED, flags: 0, mask: FILE_ALL_ACCESS, sid })
  return makeAcl([allow(owner), allow(WellKnownSid.LOCAL_SYSTEM)])
}

function withMappedRights(ace: Ace): Ace {
  return 'sid' in ace ? { ...ace, mask: mapGenericAccess(ace.mask) } : ace
}

/** 2.5.3.4.2 PostProcessACL: what a client sets has generic rights; what is stored has those they stand for. */
export function mapGenericRights(descriptor: SecurityDescriptor): SecurityDescriptor {
  const map = (acl: Acl): Acl => ({ ...acl, aces: acl.aces.map(withMappedRights) })
  return {
    ...descriptor,
    ...(descriptor.dacl && { dacl: map(descriptor.dacl) }),
    ...(descriptor.sacl && { sacl: map(descriptor.sacl) }),
  }
}
