/** MS-SMB2 3.3.5.21.1, MS-FSA 2.1.5.15: SET_INFO for SMB2_0_INFO_FILE. */

import type { FileHandle } from '../../../storage/file-system.ts'
import type { CommandContext } from '../context.ts'
import { FileAccess } from '../fscc/access.ts'
import { CreateOption, MODE_INFORMATION_MASK } from '../fscc/create-options.ts'
import { decodeFullEaList } from '../fscc/ea.ts'
import { FileInformationClass, SET_FILE_INFORMATION_MINIMUM_BYTES } from '../fscc/file-information.ts'
import {
  decodeSetDisposition,
  decodeSetDispositionEx,
  decodeSetLink,
  decodeSetMode,
  decodeSetRename,
  decodeSetRenameEx,
  decodeSetSize,
} from '../fscc/file-information-set.ts'
import { NotifyFilter } from '../fscc/notify.ts'
import type { EmptyBody } from '../messages/empty-body.ts'
import type { SetInfoRequest } from '../messages/set-info.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { Open } from '../state/open.ts'
import { Status } from '../status.ts'
import { changing } from './caching.ts'
import { noteModified, noteResize } from './notes.ts'
import { setPipeInformation } from './pipe-io.ts'
import { setBasic } from './set-basic.ts'
import { setDisposition, setDispositionEx } from './set-disposition.ts'
import { linkFile, renameFile } from './set-name.ts'

type Result = Outcome<EmptyBody> | Promise<Outcome<EmptyBody>>

interface SetClass {
  /** MS-FSA 2.1.5.15.x: what the open must have been granted. */
  readonly access: number
  set(context: CommandContext, open: Open, input: Buffer): Result
}

const CLASSES: ReadonlyMap<number, SetClass> = new Map<number, SetClass>([
  [FileInformationClass.Basic, { access: FileAccess.WRITE_ATTRIBUTES, set: setBasic }],
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
    { access: FileAccess.WRITE_DATA, set: resizing((handle, bytes) => handle.setAllocation(bytes)) },
  ],
  [
    FileInformationClass.EndOfFile,
    { access: FileAccess.WRITE_DATA, set: resizing((handle, bytes) => handle.setSize(bytes)) },
  ],
  [FileInformationClass.ValidDataLength, { access: FileAccess.WRITE_DATA, set: setValidDataLength }],
  [FileInformationClass.FullEa, { access: FileAccess.WRITE_EA, set: setExtendedAttributes }],
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
  return setClass.set(context, open, request.input)
}

/** MS-FSA 2.1.5.15.1 and 2.1.5.15.4: one of a handle's two ways to make a file another size. */
function resizing(resize: (handle: FileHandle, bytes: number) => Promise<void>): SetClass['set'] {
  return async ({ server }, open, input) => {
    if (open.isDirectory) return fail(Status.INVALID_PARAMETER)
    const bytes = decodeSetSize(input)
    await changing(server, open, () => resize(open.file.handle, bytes))
    noteResize(server, open)
    return ok({})
  }
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
  { server }: CommandContext,
  open: Open,
  input: Buffer,
): Promise<Outcome<EmptyBody>> {
  await open.file.handle.setExtendedAttributes(decodeFullEaList(input))
  open.file.node.node.times.changed(open.userSetTimes)
  noteModified(server, open, NotifyFilter.EA)
  return ok({})
}

function setPosition(_context: CommandContext, open: Open, input: Buffer): Outcome<EmptyBody> {
  open.currentByteOffset = BigInt(decodeSetSize(input))
  return ok({})
}

function setMode(_context: CommandContext, open: Open, input: Buffer): Outcome<EmptyBody> {
  const mode = decodeSetMode(input)
  // MS-FSA 2.1.5.15, FileModeInformation: other bits are refused; DELETE_ON_CLOSE is shown, but set in its own way.
  const settable = MODE_INFORMATION_MASK & ~CreateOption.DELETE_ON_CLOSE
  if ((mode & ~settable) !== 0) return fail(Status.INVALID_PARAMETER)
  open.mode = mode
  return ok({})
}
