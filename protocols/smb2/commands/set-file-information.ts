/** MS-SMB2 3.3.5.21.1, MS-FSA 2.1.5.15: SET_INFO for SMB2_0_INFO_FILE. */

import type { AttributeChanges } from '../../../storage/file-system.ts'
import { fromFiletime } from '../../wire/filetime.ts'
import type { CommandContext } from '../context.ts'
import { FileAccess } from '../fscc/access.ts'
import { FileAttribute, SETTABLE_FILE_ATTRIBUTES } from '../fscc/attributes.ts'
import { decodeFullEaList } from '../fscc/ea.ts'
import { FileInformationClass, SET_FILE_INFORMATION_MINIMUM_BYTES } from '../fscc/file-information.ts'
import {
  decodeSetBasic,
  decodeSetDisposition,
  decodeSetDispositionEx,
  decodeSetLink,
  decodeSetMode,
  decodeSetRename,
  decodeSetRenameEx,
  decodeSetSize,
  type SetBasicInformation,
  SetTime,
} from '../fscc/file-information-set.ts'
import { NotifyAction, NotifyFilter } from '../fscc/notify.ts'
import type { EmptyBody } from '../messages/empty-body.ts'
import type { SetInfoRequest } from '../messages/set-info.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { Open } from '../state/open.ts'
import { Status } from '../status.ts'
import { changing } from './caching.ts'
import { setPipeInformation } from './pipe-io.ts'
import { setDisposition, setDispositionEx } from './set-disposition.ts'
import { linkFile, renameFile } from './set-name.ts'

type Result = Outcome<EmptyBody> | Promise<Outcome<EmptyBody>>

interface SetClass {
  /** MS-FSA 2.1.5.15.x: what the open must have been granted. */
  readonly access: number
  /** Bits of NotifyFilter that a success is of. */
  readonly changes?: number
  set(context: CommandContext, open: Open, input: Buffer): Result
}

const CLASSES: ReadonlyMap<number, SetClass> = new Map<number, SetClass>([
  [
    FileInformationClass.Basic,
    {
      access: FileAccess.WRITE_ATTRIBUTES,
      changes: NotifyFilter.ATTRIBUTES | NotifyFilter.LAST_WRITE | NotifyFilter.CREATION,
      set: setBasic,
    },
  ],
  [
    FileInformationClass.Rename,
    {
      access: FileAccess.DELETE,
      set: (context, open, input) => renameFile(context, open, decodeSetRename(input)),
    },
  ],
  [
    FileInformationClass.RenameEx,
    {
      access: FileAccess.DELETE,
      set: (context, open, input) => renameFile(context, open, decodeSetRenameEx(input)),
    },
  ],
  [
    FileInformationClass.Link,
    { access: 0, set: (context, open, input) => linkFile(context, open, decodeSetLink(input)) },
  ],
  [
    FileInformationClass.Disposition,
    {
      access: FileAccess.DELETE,
      set: ({ server }, open, input) => setDisposition(server, open, decodeSetDisposition(input)),
    },
  ],
  [
    FileInformationClass.DispositionEx,
    {
      access: FileAccess.DELETE,
      set: ({ server }, open, input) => setDispositionEx(server, open, decodeSetDispositionEx(input)),
    },
  ],
  [
    FileInformationClass.Allocation,
    { access: FileAccess.WRITE_DATA, changes: NotifyFilter.SIZE, set: setAllocation },
  ],
  [
    FileInformationClass.EndOfFile,
    { access: FileAccess.WRITE_DATA, changes: NotifyFilter.SIZE, set: setEndOfFile },
  ],
  [FileInformationClass.ValidDataLength, { access: FileAccess.WRITE_DATA, set: setValidDataLength }],
  [
    FileInformationClass.FullEa,
    { access: FileAccess.WRITE_EA, changes: NotifyFilter.EA, set: setExtendedAttributes },
  ],
  [FileInformationClass.Position, { access: 0, set: setPosition }],
  [FileInformationClass.Mode, { access: 0, set: setMode }],
])

export function setFileInformation(context: CommandContext, request: SetInfoRequest): Result {
  const { open } = context
  const minimumBytes = SET_FILE_INFORMATION_MINIMUM_BYTES.get(request.fileInfoClass)
  const setClass = CLASSES.get(request.fileInfoClass)
  if (minimumBytes === undefined) return fail(Status.INVALID_INFO_CLASS)
  if (request.input.length < minimumBytes) return fail(Status.INFO_LENGTH_MISMATCH)
  if (open.isPipe && request.fileInfoClass === FileInformationClass.Pipe) {
    return setPipeInformation(open, request.input)
  }
  if (setClass === undefined || open.isPipe) return fail(Status.NOT_SUPPORTED)
  if (!open.grants(setClass.access)) return fail(Status.ACCESS_DENIED)
  const result = setClass.set(context, open, request.input)
  return setClass.changes === undefined ? result : publishing(context, open, setClass.changes, result)
}

/** Those who watch the directory learn of a change that was made. */
async function publishing(
  context: CommandContext,
  open: Open,
  filter: number,
  result: Result,
): Promise<Outcome<EmptyBody>> {
  const outcome = await result
  const { server } = context
  const { shared } = open.file
  if (outcome.kind !== 'ok') return outcome
  server.oplocks.entryChanged(shared, shared)
  server.changes.publish(shared.root, shared.path, NotifyAction.MODIFIED, filter)
  return outcome
}

async function setBasic(_context: CommandContext, open: Open, input: Buffer): Promise<Outcome<EmptyBody>> {
  const info = decodeSetBasic(input)
  const isDirectory = open.file.type === 'directory'
  // MS-FSA 2.1.5.15.2: a file does not become a directory, nor the other way round.
  if ((info.fileAttributes & FileAttribute.DIRECTORY) !== 0 && !isDirectory)
    return fail(Status.INVALID_PARAMETER)
  if ((info.fileAttributes & FileAttribute.TEMPORARY) !== 0 && isDirectory)
    return fail(Status.INVALID_PARAMETER)
  const changes = await changesOf(open, info)
  if (Object.keys(changes).length > 0) await open.file.handle.change(changes)
  return ok({})
}

async function changesOf(open: Open, info: SetBasicInformation): Promise<AttributeChanges> {
  const isTime = (time: bigint): boolean => time > SetTime.UNCHANGED
  const attributes =
    info.fileAttributes === 0 ? undefined : await settledAttributes(open, info.fileAttributes)
  return {
    ...(isTime(info.creationTime) ? { birthTime: fromFiletime(info.creationTime) } : {}),
    ...(isTime(info.lastAccessTime) ? { accessTime: fromFiletime(info.lastAccessTime) } : {}),
    ...(isTime(info.lastWriteTime) ? { writeTime: fromFiletime(info.lastWriteTime) } : {}),
    ...(attributes === undefined ? {} : { dosAttributes: attributes }),
  }
}

/** SPARSE and COMPRESSED are changed by their FSCTLs alone; unknown bits are passed over (windows.md section 3). */
async function settledAttributes(open: Open, wanted: number): Promise<number> {
  const { dosAttributes } = await open.file.handle.stat()
  return (wanted & SETTABLE_FILE_ATTRIBUTES) | (dosAttributes & ~SETTABLE_FILE_ATTRIBUTES)
}

async function setAllocation(
  { server }: CommandContext,
  open: Open,
  input: Buffer,
): Promise<Outcome<EmptyBody>> {
  if (open.isDirectory) return fail(Status.INVALID_PARAMETER)
  const bytes = decodeSetSize(input)
  await changing(server, open, () => open.file.handle.setAllocation(bytes))
  return ok({})
}

async function setEndOfFile(
  { server }: CommandContext,
  open: Open,
  input: Buffer,
): Promise<Outcome<EmptyBody>> {
  if (open.isDirectory) return fail(Status.INVALID_PARAMETER)
  const bytes = decodeSetSize(input)
  await changing(server, open, () => open.file.handle.setSize(bytes))
  return ok({})
}

/** MS-FSA 2.1.5.15.15: nothing is to be done where unwritten parts read as zeros anyway; the length must make sense. */
async function setValidDataLength(
  _context: CommandContext,
  open: Open,
  input: Buffer,
): Promise<Outcome<EmptyBody>> {
  const { size } = await open.file.handle.stat()
  return decodeSetSize(input) > size ? fail(Status.INVALID_PARAMETER) : ok({})
}

async function setExtendedAttributes(
  _context: CommandContext,
  open: Open,
  input: Buffer,
): Promise<Outcome<EmptyBody>> {
  await open.file.handle.setExtendedAttributes(decodeFullEaList(input))
  return ok({})
}

function setPosition(_context: CommandContext, open: Open, input: Buffer): Outcome<EmptyBody> {
  open.currentByteOffset = BigInt(decodeSetSize(input))
  return ok({})
}

function setMode(_context: CommandContext, open: Open, input: Buffer): Outcome<EmptyBody> {
  open.mode = decodeSetMode(input)
  return ok({})
}
