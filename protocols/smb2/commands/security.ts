/** MS-SMB2 3.3.5.20.3 and 3.3.5.21.3: QUERY_INFO and SET_INFO of security descriptors. */

import type { CommandContext } from '../context.ts'
import { FileAccess } from '../fscc/access.ts'
import { NotifyFilter } from '../fscc/notify.ts'
import { mapGenericRights } from '../fscc/security-creation.ts'
import {
  decodeSecurityDescriptor,
  encodeSecurityDescriptor,
  MAXIMUM_SECURITY_DESCRIPTOR_BYTES,
  mergeSecurity,
  type SecurityDescriptor,
  SecurityInformation,
  selectSecurity,
} from '../fscc/security-descriptor.ts'
import type { EmptyBody } from '../messages/empty-body.ts'
import { bufferTooSmallErrorData } from '../messages/error.ts'
import type { QueryInfoRequest, QueryInfoResponse } from '../messages/query-info.ts'
import type { SetInfoRequest } from '../messages/set-info.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { Open } from '../state/open.ts'
import type { IdentityMap } from '../state/server.ts'
import { Status } from '../status.ts'
import { tokenOf } from './access-check.ts'
import { defaultSecurityDescriptor } from './default-security.ts'
import { noteModified } from './notes.ts'

const { OWNER, GROUP, DACL, SACL, LABEL, ATTRIBUTE, SCOPE } = SecurityInformation

/** The descriptor that holds for an open's file: the stored one, or that of owner and mode. */
export async function effectiveSecurity(open: Open, identities: IdentityMap): Promise<SecurityDescriptor> {
  const { handle } = open.file
  const stored = await handle.securityDescriptor()
  if (stored !== undefined) return decodeSecurityDescriptor(stored)
  return defaultSecurityDescriptor(await handle.stat(), identities)
}

export async function querySecurity(
  context: CommandContext,
  request: QueryInfoRequest,
): Promise<Outcome<QueryInfoResponse>> {
  const { open, server } = context
  if (open.isPipe) return fail(Status.NOT_SUPPORTED)
  const wanted = request.additionalInformation
  const needed =
    (wanted & (OWNER | GROUP | DACL | LABEL | ATTRIBUTE) ? FileAccess.READ_CONTROL : 0) |
    (wanted & (SACL | SCOPE) ? FileAccess.ACCESS_SYSTEM_SECURITY : 0)
  if (!open.grants(needed)) return fail(Status.ACCESS_DENIED)
  const descriptor = await effectiveSecurity(open, server.identities)
  const output = encodeSecurityDescriptor(selectSecurity(descriptor, wanted))
  // 3.3.5.20.3: a part of a descriptor is of no use, so the client learns what it needs.
  if (output.length > request.outputBufferLength) {
    return fail(Status.BUFFER_TOO_SMALL, bufferTooSmallErrorData(output.length))
  }
  return ok({ output })
}

/** MS-SMB2 3.3.5.21.3: the right that each part takes. */
function neededToSet(parts: number): number {
  return (
    (parts & (OWNER | GROUP | LABEL) ? FileAccess.WRITE_OWNER : 0) |
    (parts & (DACL | ATTRIBUTE) ? FileAccess.WRITE_DAC : 0) |
    (parts & (SACL | SCOPE) ? FileAccess.ACCESS_SYSTEM_SECURITY : 0)
  )
}

export async function setSecurity(
  context: CommandContext,
  request: SetInfoRequest,
): Promise<Outcome<EmptyBody>> {
  const { open, server, connection } = context
  if (open.isPipe) return fail(Status.NOT_SUPPORTED)
  const parts = request.additionalInformation
  if (!open.grants(neededToSet(parts))) return fail(Status.ACCESS_DENIED)
  const update = mapGenericRights(decodeSecurityDescriptor(request.input))
  const mode = open.posix && (parts & DACL) !== 0 ? modeAskedFor(update) : undefined
  if (mode !== undefined) return changeMode(context, mode)
  // fruit.md section 1: recent macOS sends an empty list, which would lock everyone out of the file.
  const isEmpty = update.dacl !== null && update.dacl?.aces.length === 0
  if (connection.negotiatedAapl && (parts & DACL) !== 0 && isEmpty) return ok({})
  const existing = await effectiveSecurity(open, server.identities)
  if ((parts & OWNER) !== 0 && !mayOwn(context, existing, update)) return fail(Status.INVALID_OWNER)
  const merged = encodeSecurityDescriptor(mergeSecurity(existing, update, parts))
  if (merged.length > MAXIMUM_SECURITY_DESCRIPTOR_BYTES) return fail(Status.INVALID_SECURITY_DESCR)
  await takeOwnership(open, existing, update, parts, server.identities)
  await open.file.handle.setSecurityDescriptor(merged)
  open.file.node.node.times.changed(open.userSetTimes)
  noteModified(server, open, NotifyFilter.SECURITY)
  return ok({})
}

/** What stands for a mode among ACEs: S-1-5-88-3-(mode), as NFS servers have it. */
const MODE_SID_HEAD = 'S-1-5-88-3-'
/** Those that POSIX clients may set. */
const CHANGEABLE_MODE = 0o777

/** POSIX-SMB2: an open with POSIX' rules asks for a mode by an ACE. */
function modeAskedFor({ dacl }: SecurityDescriptor): number | undefined {
  for (const ace of dacl?.aces ?? []) {
    if ('sid' in ace && ace.sid.startsWith(MODE_SID_HEAD)) {
      return Number(ace.sid.slice(MODE_SID_HEAD.length)) & CHANGEABLE_MODE
    }
  }
  return undefined
}

/** A descriptor that is stored says what the mode says from now on. */
async function changeMode({ server, open }: CommandContext, mode: number): Promise<Outcome<EmptyBody>> {
  const { handle } = open.file
  const stat = await handle.change({ mode })
  if ((await handle.securityDescriptor()) !== undefined) {
    const descriptor = defaultSecurityDescriptor(stat, server.identities)
    await handle.setSecurityDescriptor(encodeSecurityDescriptor(descriptor))
  }
  noteModified(server, open, NotifyFilter.SECURITY)
  return ok({})
}

/** MS-DTYP 2.4.6: files are given away only to whom the token speaks for, or with a privilege. */
function mayOwn(
  { server, treeConnect }: CommandContext,
  existing: SecurityDescriptor,
  update: SecurityDescriptor,
): boolean {
  if (update.owner === undefined || update.owner === existing.owner) return true
  const token = tokenOf(server, treeConnect.admission)
  return token.isPrivileged || token.sids.has(update.owner)
}

/** An owner or group that is a local account's becomes the file's, so that the kernel agrees. */
async function takeOwnership(
  open: Open,
  existing: SecurityDescriptor,
  update: SecurityDescriptor,
  parts: number,
  identities: IdentityMap,
): Promise<void> {
  const owner = parts & OWNER && update.owner !== existing.owner ? update.owner : undefined
  const group = parts & GROUP && update.group !== existing.group ? update.group : undefined
  const uid = owner === undefined ? undefined : identities.accountOf(owner)?.uid
  const gid = group === undefined ? undefined : identities.accountOf(group)?.gid
  if (uid === undefined && gid === undefined) return
  await open.file.handle.change({
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  })
}
