/** MS-SMB2 3.3.5.18: receiving a QUERY_DIRECTORY Request. */

import type { DirectoryEntry, FileStat } from '../../../storage/file-system.ts'
import { type MacViewer, macEntryOf } from '../apple/directory-entry.ts'
import { type CommandContext, command } from '../context.ts'
import { FileAccess } from '../fscc/access.ts'
import {
  type DirectoryListEntry,
  DirectoryListWriter,
  directoryEntryFixedBytes,
} from '../fscc/directory-information.ts'
import { FileInformationClass } from '../fscc/file-information.ts'
import { Command } from '../messages/commands.ts'
import {
  decodeQueryDirectoryRequest,
  encodeQueryDirectoryResponse,
  QueryDirectoryFlag,
  type QueryDirectoryRequest,
  type QueryDirectoryResponse,
} from '../messages/query-directory.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { Connection } from '../state/connection.ts'
import type { Enumeration, Open } from '../state/open.ts'
import type { Server, Share } from '../state/server.ts'
import { Status } from '../status.ts'
import { isReadable, type Token, tokenOf } from './access-check.ts'
import { fileAttributesOf, fileIdOf, fileTimesOf, posixFactsOf, reparseTagOf } from './describe.ts'

/** Clients offer up to 8 MiB; with less they have something to work on while the next part is made. */
const LONGEST_ANSWER_BYTES = 256 * 1024
/** Entries that one trip to storage brings. */
const PAGE_ENTRIES = 256
/** More than any client asks for at once; names alone are shorter than any other entry. */
const LEAST_ENTRY_BYTES = 96

export const queryDirectory = command<QueryDirectoryResponse, QueryDirectoryRequest>({
  code: Command.QUERY_DIRECTORY,
  name: 'QUERY_DIRECTORY',
  needs: 'open',
  decode: decodeQueryDirectoryRequest,
  encode: encodeQueryDirectoryResponse,
  fileId: (request) => request.fileId,
  payloadBytes: (request) => request.outputBufferLength,
  run: runQueryDirectory,
})

function runQueryDirectory(
  context: CommandContext,
  request: QueryDirectoryRequest,
): Outcome<never> | Promise<Outcome<QueryDirectoryResponse>> {
  const { open, connection } = context
  if (open.isPipe || !open.isDirectory) return fail(Status.INVALID_PARAMETER)
  if (request.outputBufferLength > connection.maxTransactSize) return fail(Status.INVALID_PARAMETER)
  const fixedBytes = directoryEntryFixedBytes(request.fileInformationClass)
  const isPosix = request.fileInformationClass === FileInformationClass.Posix
  if (fixedBytes === undefined || (isPosix && !open.posix)) return fail(Status.INVALID_INFO_CLASS)
  if (request.outputBufferLength < fixedBytes) return fail(Status.INFO_LENGTH_MISMATCH)
  if (!open.grants(FileAccess.READ_DATA)) return fail(Status.ACCESS_DENIED)
  // Two requests on one handle would take each other's entries: they wait for each other.
  const turn = open.enumerationQueue.then(() => list(context, request))
  open.enumerationQueue = turn.catch(() => undefined)
  return turn
}

async function list(
  context: CommandContext,
  request: QueryDirectoryRequest,
): Promise<Outcome<QueryDirectoryResponse>> {
  const { open, server, treeConnect, connection } = context
  const isMacs =
    connection.aapl.readDirAttr && request.fileInformationClass === FileInformationClass.IdBothDirectory
  const enumeration = await enumerationFor(open, request, isMacs)
  const limitBytes = Math.min(request.outputBufferLength, LONGEST_ANSWER_BYTES)
  const writer = new DirectoryListWriter(request.fileInformationClass, limitBytes)
  const single = (request.flags & QueryDirectoryFlag.RETURN_SINGLE_ENTRY) !== 0
  const { share, admission } = treeConnect
  const posix = request.fileInformationClass === FileInformationClass.Posix
  const shows = share.hideUnreadable ? readableBy(tokenOf(server, admission)) : showsAll
  const isFull = await fill(server, enumeration, writer, {
    ...{ share, connection, shows, single, limitBytes, posix },
    mac: isMacs ? viewerOf(context, enumeration) : undefined,
  })
  if (writer.count === 0) {
    // 3.3.5.18: an entry that does not fit at all; or nothing (more) matches.
    if (isFull) return fail(Status.BUFFER_OVERFLOW)
    return fail(enumeration.answered ? Status.NO_MORE_FILES : Status.NO_SUCH_FILE)
  }
  enumeration.answered = true
  return ok({ output: writer.finish() })
}

/** The listing in progress, or a new one when there is none or the client wants to begin again. */
async function enumerationFor(
  open: Open,
  request: QueryDirectoryRequest,
  isMacs: boolean,
): Promise<Enumeration> {
  const { RESTART_SCANS, REOPEN } = QueryDirectoryFlag
  const restart = (request.flags & (RESTART_SCANS | REOPEN)) !== 0
  const current = open.enumeration
  if (current !== undefined && !restart) return current
  await current?.cursor.close()
  open.enumeration = undefined
  // 3.3.5.18: the pattern of the first request holds until the scan begins anew with another.
  const searchPattern = request.fileName !== '' ? request.fileName : (current?.searchPattern ?? '*')
  const { handle } = open.file
  const cursor = await handle.list({
    pattern: searchPattern,
    hideUnreadable: open.share.hideUnreadable,
    posixNames: open.posix,
    details: isMacs,
  })
  const descriptor = isMacs ? await handle.securityDescriptor() : undefined
  const enumeration = { cursor, searchPattern, descriptor, pending: [], next: 0, answered: false }
  open.enumeration = enumeration
  return enumeration
}

type Filter = (entry: DirectoryEntry) => boolean

const showsAll: Filter = () => true

/** MS-SMB2 2.2.10 SHAREFLAG_ACCESS_BASED_DIRECTORY_ENUM: by mode storage has decided, by descriptor we do. */
function readableBy(token: Token): Filter {
  return ({ securityDescriptor }) => securityDescriptor === undefined || isReadable(securityDescriptor, token)
}

/** Apple's readdirattr: as whom the Mac's user sees the entries. */
function viewerOf(
  { server, connection, treeConnect, open }: CommandContext,
  { descriptor }: Enumeration,
): MacViewer {
  let token: Token | undefined
  const folder = open.pathName === '' ? '' : `${open.pathName.replaceAll('\\', '/')}/`
  return {
    listing: connection.aapl,
    token: () => (token ??= tokenOf(server, treeConnect.admission)),
    shareAccess: treeConnect.maximalAccess,
    parentDescriptor: descriptor,
    known: new Map(),
    meets({ name, stat }) {
      if (name === '.' || name === '..' || open.share.fileSystem === undefined) return
      server.knownPaths.note(open.share.fileSystem, stat.fileId, folder + name)
    },
  }
}

interface Filling {
  readonly share: Share
  readonly connection: Connection
  readonly shows: Filter
  readonly single: boolean
  readonly limitBytes: number
  /** With what FileInformationClass.Posix says. */
  readonly posix: boolean
  /** With what Macs want to see. */
  readonly mac: MacViewer | undefined
}

/** Writes entries until the buffer is full or there are no more. @returns whether an entry was left over */
async function fill(
  server: Server,
  enumeration: Enumeration,
  writer: DirectoryListWriter,
  { share, connection, shows, single, limitBytes, posix, mac }: Filling,
): Promise<boolean> {
  const now = server.environment.now()
  for (;;) {
    while (enumeration.next < enumeration.pending.length) {
      const entry = enumeration.pending[enumeration.next] as DirectoryEntry
      const stat = server.nodes.shown(entry.stat, now)
      const plain = listEntryOf(entry, stat, share, connection)
      const listed = mac === undefined ? plain : macEntryOf(plain, entry, stat, mac)
      mac?.meets(entry)
      if (!writer.add(posix ? { ...listed, posix: posixFactsOf(stat) } : listed)) return true
      enumeration.next++
      if (single) return false
    }
    const count = single ? 1 : Math.min(PAGE_ENTRIES, Math.ceil(limitBytes / LEAST_ENTRY_BYTES))
    const page = await enumeration.cursor.next(count)
    if (page.length === 0) return false
    enumeration.pending = shows === showsAll ? page : page.filter(shows)
    enumeration.next = 0
  }
}

function listEntryOf(
  entry: DirectoryEntry,
  stat: FileStat,
  share: Share,
  connection: Connection,
): DirectoryListEntry {
  // Named one by one: measured, spreading them into the entry takes ten times as long and 4 KB of garbage for each.
  const { creationTime, lastAccessTime, lastWriteTime, changeTime } = fileTimesOf(stat)
  return {
    creationTime,
    lastAccessTime,
    lastWriteTime,
    changeTime,
    endOfFile: stat.size,
    allocationSize: stat.allocated,
    fileAttributes: fileAttributesOf(stat, share, entry.name),
    eaSize: stat.eaSize,
    reparseTag: reparseTagOf(stat),
    shortName: entry.shortName,
    fileId: fileIdOf(stat, share, connection),
    fileName: entry.name,
  }
}
