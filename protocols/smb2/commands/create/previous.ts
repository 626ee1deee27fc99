/** MS-SMB2 2.2.13.2.7, 3.3.5.9.4: a CREATE of what was there at an earlier time, named by TWrp or by an `@GMT-` component. */

import type { CommandContext } from '../../context.ts'
import { CreateDisposition, CreateOption } from '../../fscc/create-options.ts'
import { type CreateRequest, OplockLevel } from '../../messages/create.ts'
import { momentOfSnapshotToken } from '../../messages/ioctl/snapshots.ts'
import type { Tree } from '../../state/tree-connect.ts'
import { type NtStatus, Status } from '../../status.ts'
import type { RequestedContexts } from './contexts.ts'
import { NO_DURABLE } from './durable.ts'
import type { ParsedName } from './name.ts'

/** What writes in no case where the file is there already. */
const OPENING: ReadonlySet<number> = new Set([CreateDisposition.OPEN, CreateDisposition.OPEN_IF])
const FILETIME_TICKS_PER_SECOND = 10_000_000n
/** Seconds from 1601 to 1970. */
const UNIX_EPOCH_SECONDS = 11_644_473_600n
const MILLISECONDS = 1000

/** What of which time a CREATE names. */
interface PreviousVersion {
  /** Milliseconds since 1970, whole seconds. */
  readonly created: number
  /** Without the component that named the time. */
  readonly name: ParsedName
}

/**
 * @param timewarp FILETIME of TWrp; 0 is none
 * @returns undefined when the CREATE is of what is there now
 */
export function previousVersionOf(
  { share }: Tree,
  timewarp: bigint | undefined,
  name: ParsedName,
): PreviousVersion | undefined {
  const components = name.path.split('/')
  // Where there are no previous versions such names are names like others.
  const at =
    share.previousVersions === undefined
      ? -1
      : components.findIndex((component) => momentOfSnapshotToken(component) !== undefined)
  const created = at < 0 ? momentOfFiletime(timewarp) : momentOfSnapshotToken(components[at] ?? '')
  if (created === undefined) return undefined
  return at < 0
    ? { created, name }
    : { created, name: { ...name, path: components.toSpliced(at, 1).join('/') } }
}

/** Tokens have no more than seconds. */
function momentOfFiletime(filetime: bigint | undefined): number | undefined {
  if (filetime === undefined || filetime === 0n) return undefined
  return Number(filetime / FILETIME_TICKS_PER_SECOND - UNIX_EPOCH_SECONDS) * MILLISECONDS
}

/** From now on the CREATE is of what was there at a time. @returns the status that refuses it */
export async function viewPrevious(
  context: CommandContext,
  request: CreateRequest,
  created: number,
): Promise<NtStatus | undefined> {
  const { share, admission, maximalAccess } = context.treeConnect
  const fileSystem = await share.previousVersions?.at(created)
  if (fileSystem === undefined) return Status.OBJECT_NAME_NOT_FOUND
  context.view = {
    // netatalk has no previous version open.
    share: { ...share, fileSystem, netatalkLocking: false },
    admission: { ...admission, readOnly: true },
    maximalAccess,
  }
  return changesSomething(request) ? Status.MEDIA_WRITE_PROTECTED : undefined
}

/** MS-FSA 2.1.5.1, Volume.IsReadOnly: to be opened for writing is nothing yet: the WRITE is refused. */
function changesSomething({ createDisposition, createOptions }: CreateRequest): boolean {
  return !OPENING.has(createDisposition) || (createOptions & CreateOption.DELETE_ON_CLOSE) !== 0
}

/** Nobody changes it, so that nothing would ever be broken. */
export function withoutCaching(request: CreateRequest): CreateRequest {
  return { ...request, requestedOplockLevel: OplockLevel.NONE }
}

/** Nobody comes back for a handle that can be had again at any time. */
export function withoutAbsence(contexts: RequestedContexts): RequestedContexts {
  return { ...contexts, timewarp: undefined, lease: undefined, durable: NO_DURABLE }
}
