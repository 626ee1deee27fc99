/** MS-SMB2 3.3.5.20.1, MS-FSA 2.1.5.12: QUERY_INFO for SMB2_0_INFO_FILE. */

import type { FileStat } from '../../../storage/file-system.ts'
import type { CommandContext } from '../context.ts'
import { FileAccess } from '../fscc/access.ts'
import { FileAttribute } from '../fscc/attributes.ts'
import { MODE_INFORMATION_MASK } from '../fscc/create-options.ts'
import { decodeGetEaList, encodeFullEaList, selectEas } from '../fscc/ea.ts'
import {
  type FileInformation,
  FileInformationClass,
  QUERY_FILE_INFORMATION_SIZES,
} from '../fscc/file-information.ts'
import {
  encodeFileInformation,
  encodePipeInformation,
  encodePipeLocalInformation,
  encodeStreamInformation,
} from '../fscc/file-information-query.ts'
import { encodeFilePosixInformation } from '../fscc/posix-information.ts'
import { Dialect } from '../messages/dialects.ts'
import type { QueryInfoRequest, QueryInfoResponse } from '../messages/query-info.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { Connection } from '../state/connection.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import { Status } from '../status.ts'
import {
  baseNameOf,
  fileAttributesOf,
  fileIdOf,
  fileTimesOf,
  posixFactsOf,
  reparseTagOf,
  shownStat,
} from './describe.ts'
import { answerWithin } from './output-buffer.ts'
import { pipeInformation } from './pipe-io.ts'

const UNLIMITED_INSTANCES = 0xffff_ffff
const PIPE_QUOTA_BYTES = 4096
const COMPRESSION_FORMAT_NONE = 0
const COMPRESSION_FORMAT_LZNT1 = 2

/** Classes whose access is checked: MS-FSA 2.1.5.12.x "If Open.GrantedAccess does not contain ...". */
const NEEDED_ACCESS: ReadonlyMap<number, number> = new Map([
  [FileInformationClass.Basic, FileAccess.READ_ATTRIBUTES],
  [FileInformationClass.All, FileAccess.READ_ATTRIBUTES],
  [FileInformationClass.NetworkOpen, FileAccess.READ_ATTRIBUTES],
  [FileInformationClass.AttributeTag, FileAccess.READ_ATTRIBUTES],
  [FileInformationClass.FullEa, FileAccess.READ_EA],
  [FileInformationClass.Posix, FileAccess.READ_ATTRIBUTES],
])

export function queryFileInformation(
  context: CommandContext,
  request: QueryInfoRequest,
): Outcome<QueryInfoResponse> | Promise<Outcome<QueryInfoResponse>> {
  const { open, connection } = context
  const size = QUERY_FILE_INFORMATION_SIZES.get(request.fileInfoClass)
  if (size === undefined) return fail(Status.INVALID_INFO_CLASS)
  if (request.outputBufferLength < size.minimumBytes) return fail(Status.INFO_LENGTH_MISMATCH)
  if (!open.grants(NEEDED_ACCESS.get(request.fileInfoClass) ?? 0)) return fail(Status.ACCESS_DENIED)
  if (open.isPipe) return queryPipe(open, request)
  // 3.3.5.20.1: the normalized name is known to 3.1.1 alone.
  if (
    request.fileInfoClass === FileInformationClass.NormalizedName &&
    connection.dialect < Dialect.SMB_3_1_1
  ) {
    return fail(Status.NOT_SUPPORTED)
  }
  switch (request.fileInfoClass) {
    case FileInformationClass.Stream:
      return queryStreams(connection, open, request)
    case FileInformationClass.FullEa:
      return queryExtendedAttributes(open, request)
    case FileInformationClass.Posix:
      return open.posix ? queryPosix(context.server, open, request) : fail(Status.INVALID_INFO_CLASS)
    default:
      return queryDescription(context, open, request)
  }
}

async function queryDescription(
  { server, connection }: CommandContext,
  open: Open,
  request: QueryInfoRequest,
): Promise<Outcome<QueryInfoResponse>> {
  const { handle } = open.file
  const stat = await shownStat(server, open)
  const wantsShortName = request.fileInfoClass === FileInformationClass.AlternateName
  const wantsCompression = request.fileInfoClass === FileInformationClass.Compression
  const encoded = encodeFileInformation(
    request.fileInfoClass,
    describe(open, stat, connection, {
      deletePending: server.nodes.isDeletePending(open.file.shared),
      alternateName: wantsShortName ? await handle.shortName() : '',
      compressed: wantsCompression && (await isCompressed(open)),
    }),
  )
  if (encoded === undefined) return fail(Status.INVALID_INFO_CLASS)
  return answerWithin(encoded, request.outputBufferLength)
}

async function isCompressed(open: Open): Promise<boolean> {
  const features = open.share.fileSystem?.features
  return features?.compression === true && (await open.file.handle.compressed())
}

function describe(
  open: Open,
  stat: FileStat,
  connection: Connection,
  more: { deletePending: boolean; alternateName: string; compressed: boolean },
): FileInformation {
  const isDirectory = stat.type === 'directory'
  const { deletePending } = more
  // Spread into an object of this size they would cost V8 more than all the rest of the request.
  const { creationTime, lastAccessTime, lastWriteTime, changeTime } = fileTimesOf(stat)
  return {
    creationTime,
    lastAccessTime,
    lastWriteTime,
    changeTime,
    fileAttributes: fileAttributesOf(stat, open.share, baseNameOf(open.pathName)),
    allocationSize: stat.allocated,
    endOfFile: stat.size,
    // MS-FSA 2.1.5.12.27: a file that is to be deleted has one link less.
    numberOfLinks: Math.max(deletePending ? 0 : 1, stat.links - (deletePending ? 1 : 0)),
    deletePending,
    directory: isDirectory,
    indexNumber: fileIdOf(stat, open.share, connection),
    volumeSerialNumber: stat.volumeId,
    eaSize: stat.eaSize,
    accessFlags: open.grantedAccess,
    currentByteOffset: Number(open.currentByteOffset),
    mode: (open.createOptions & MODE_INFORMATION_MASK) | open.mode,
    alignmentRequirement: 0,
    fileName: open.pathName,
    alternateName: more.alternateName,
    reparseTag: reparseTagOf(stat),
    compressionFormat: more.compressed ? COMPRESSION_FORMAT_LZNT1 : COMPRESSION_FORMAT_NONE,
  }
}

/** POSIX-FSCC FilePosixInformation. */
async function queryPosix(
  server: Server,
  open: Open,
  request: QueryInfoRequest,
): Promise<Outcome<QueryInfoResponse>> {
  const stat = await shownStat(server, open)
  const info = {
    ...fileTimesOf(stat),
    endOfFile: stat.size,
    allocationSize: stat.allocated,
    fileAttributes: fileAttributesOf(stat, open.share, baseNameOf(open.pathName)),
    fileId: stat.fileId,
  }
  return answerWithin(encodeFilePosixInformation(info, posixFactsOf(stat)), request.outputBufferLength)
}

/** To a Mac a named stream without bytes is none. */
async function queryStreams(
  { negotiatedAapl }: Connection,
  open: Open,
  request: QueryInfoRequest,
): Promise<Outcome<QueryInfoResponse>> {
  const all = await open.file.handle.streams()
  const streams = negotiatedAapl ? all.filter(({ name, size }) => name === '' || size > 0) : all
  const encoded = encodeStreamInformation(
    streams.map((stream) => ({
      streamName: stream.name === '' ? '::$DATA' : `:${stream.name}:$DATA`,
      streamSize: stream.size,
      streamAllocationSize: stream.allocated,
    })),
  )
  return answerWithin(encoded, request.outputBufferLength)
}

async function queryExtendedAttributes(
  open: Open,
  request: QueryInfoRequest,
): Promise<Outcome<QueryInfoResponse>> {
  const all = await open.file.handle.extendedAttributes()
  const eas = all.map(({ name, value }) => ({ flags: 0, name, value }))
  const wanted = request.input.length > 0 ? selectEas(eas, decodeGetEaList(request.input)) : eas
  if (wanted.length === 0) return fail(Status.NO_EAS_ON_FILE)
  const { bytes, count } = encodeFullEaList(wanted, request.outputBufferLength)
  if (count === 0) return fail(Status.BUFFER_TOO_SMALL)
  return ok({ output: bytes }, count < wanted.length ? Status.BUFFER_OVERFLOW : Status.SUCCESS)
}

function queryPipe(open: Open, request: QueryInfoRequest): Outcome<QueryInfoResponse> {
  switch (request.fileInfoClass) {
    case FileInformationClass.Pipe:
      return ok({ output: encodePipeInformation(pipeInformation(open)) })
    case FileInformationClass.PipeLocal:
      return ok({
        output: encodePipeLocalInformation({
          maximumInstances: UNLIMITED_INSTANCES,
          currentInstances: 1,
          readDataAvailable: open.pipe?.available ?? 0,
          quota: PIPE_QUOTA_BYTES,
        }),
      })
    case FileInformationClass.Standard:
    case FileInformationClass.Basic:
    case FileInformationClass.Internal:
    case FileInformationClass.Name:
    case FileInformationClass.All: {
      const encoded = encodeFileInformation(request.fileInfoClass, describePipe(open))
      return encoded === undefined
        ? fail(Status.INVALID_INFO_CLASS)
        : answerWithin(encoded, request.outputBufferLength)
    }
    default:
      return fail(Status.INVALID_PARAMETER)
  }
}

/** MS-FSCC 2.4 of a pipe: no times, no data, deleted with its last handle. */
function describePipe(open: Open): FileInformation {
  return {
    creationTime: 0n,
    lastAccessTime: 0n,
    lastWriteTime: 0n,
    changeTime: 0n,
    fileAttributes: FileAttribute.NORMAL,
    allocationSize: PIPE_QUOTA_BYTES,
    endOfFile: 0,
    numberOfLinks: 1,
    deletePending: true,
    directory: false,
    indexNumber: 0n,
    volumeSerialNumber: 0n,
    eaSize: 0,
    accessFlags: open.grantedAccess,
    currentByteOffset: 0,
    mode: 0,
    alignmentRequirement: 0,
    fileName: open.pathName,
    alternateName: '',
    reparseTag: 0,
    compressionFormat: 0,
  }
}
