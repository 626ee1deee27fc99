/** MS-SMB2 3.3.5.20.3 and 3.3.5.21.3: QUERY_INFO and SET_INFO of security descriptors. */

import { nfsModeOf, withNfsAces, withoutNfsAces } from '../apple/nfs-aces.ts'
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
  const { open } = context
  if (open.isPipe) return fail(Status.NOT_SUPPORTED)
  const wanted = request.additionalInformation
  const needed =
    (wanted & (OWNER | GROUP | DACL | LABEL | ATTRIBUTE) ? FileAccess.READ_CONTROL : 0) |
    (wanted & (SACL | SCOPE) ? FileAccess.ACCESS_SYSTEM_SECURITY : 0)
  if (!open.grants(needed)) return fail(Status.ACCESS_DENIED)
  const descriptor = await shownSecurity(context)
  const output = encodeSecurityDescriptor(selectSecurity(descriptor, wanted))
  // 3.3.5.20.3: a part of a descriptor is of no use, so the client learns what it needs.
  if (output.length > request.outputBufferLength) {
    return fail(Status.BUFFER_TOO_SMALL, bufferTooSmallErrorData(output.length))
  }
  return ok({ output })
}

/** A Mac finds mode and ids of the file among the ACEs. */
async function shownSecurity({ open, server, connection }: CommandContext): Promise<SecurityDescriptor> {
  const descriptor = await effectiveSecurity(open, server.identities)
  return connection.negotiatedAapl ? withNfsAces(descriptor, await open.file.handle.stat()) : descriptor
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
  const { open, connection } = context
  if (open.isPipe) return fail(Status.NOT_SUPPORTED)
  const parts = request.additionalInformation
  if (!open.grants(neededToSet(parts))) return fail(Status.ACCESS_DENIED)
  const asked = mapGenericRights(decodeSecurityDescriptor(request.input))
  const mode = (parts & DACL) === 0 ? undefined : nfsModeOf(asked)
  if (open.posix && mode !== undefined) return changeMode(context, mode)
  if (!connection.negotiatedAapl) return storeSecurity(context, asked, parts)
  const update = withoutNfsAces(asked)
  // fruit.md section 1: recent macOS sends an empty list, which would lock everyone out of the file.
  const isEmpty = update.dacl !== null && update.dacl?.aces.length === 0
  const kept = isEmpty ? parts & ~DACL : parts
  const outcome = kept === 0 ? ok({}) : await storeSecurity(context, update, kept)
  if (outcome.kind !== 'ok' || mode === undefined) return outcome
  return changeMacMode(context, mode, isEmpty)
}

async function storeSecurity(
  context: CommandContext,
  update: SecurityDescriptor,
  parts: number,
): Promise<Outcome<EmptyBody>> {
  const { open, server } = context
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

/**
 * A Mac asks for a mode: within the share's masks, which it cannot know. The mode that is there already changes nothing.
 * @param isAll nothing else was asked for, so that a descriptor that is stored says the same from now on
 */
async function changeMacMode(
  context: CommandContext,
  mode: number,
  isAll: boolean,
): Promise<Outcome<EmptyBody>> {
  const { open, treeConnect } = context
  const { createMask, directoryMask } = treeConnect.share
  const allowed = mode & (open.isDirectory ? directoryMask : createMask)
  const { handle } = open.file
  if (((await handle.stat()).mode & CHANGEABLE_MODE) === allowed) return ok({})
  if (isAll) return changeMode(context, allowed)
  await handle.change({ mode: allowed })
  return ok({})
}

/** The bits of a mode that clients change. */
const CHANGEABLE_MODE = 0o777

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
