/** MS-FSCC 2.4: File Information Classes as QUERY_INFO answers them. */

import { Writer } from '../../wire/writer.ts'
import { type FileInformation, FileInformationClass, type StreamInformation } from './file-information.ts'

const STREAM_ALIGNMENT_BYTES = 8

type Encode = (writer: Writer, info: FileInformation) => void

const ENCODERS: ReadonlyMap<number, Encode> = new Map<number, Encode>([
  [FileInformationClass.Basic, basic],
  [FileInformationClass.Standard, standard],
  [FileInformationClass.Internal, (writer, info) => writer.u64(info.indexNumber)],
  [FileInformationClass.Ea, (writer, info) => writer.u32(info.eaSize)],
  [FileInformationClass.Access, (writer, info) => writer.u32(info.accessFlags)],
  [FileInformationClass.Name, (writer, info) => name(writer, `\\${info.fileName}`)],
  [FileInformationClass.Position, (writer, info) => writer.size64(info.currentByteOffset)],
  [FileInformationClass.Mode, (writer, info) => writer.u32(info.mode)],
  [FileInformationClass.Alignment, (writer, info) => writer.u32(info.alignmentRequirement)],
  [FileInformationClass.All, all],
  [FileInformationClass.AlternateName, (writer, info) => name(writer, info.alternateName)],
  [FileInformationClass.Compression, compression],
  [FileInformationClass.NetworkOpen, networkOpen],
  [FileInformationClass.AttributeTag, attributeTag],
  [FileInformationClass.NormalizedName, (writer, info) => name(writer, info.fileName)],
  [FileInformationClass.StandardLink, standardLink],
  [FileInformationClass.Id, id],
])

/**
 * The structure of a class, whole; the caller cuts it to the client's buffer.
 * Stream, FullEa and Pipe have functions of their own, for they need other facts.
 * @returns undefined for a class that is not made of FileInformation (STATUS_INVALID_INFO_CLASS)
 */
export function encodeFileInformation(
  fileInformationClass: number,
  info: FileInformation,
): Buffer | undefined {
  const encode = ENCODERS.get(fileInformationClass)
  if (encode === undefined) return undefined
  const writer = new Writer()
  encode(writer, info)
  return writer.finish()
}

/** 2.4.7 FileBasicInformation. */
function basic(writer: Writer, info: FileInformation): void {
  times(writer, info)
  writer.u32(info.fileAttributes).u32(0)
}

/** 2.4.47 FileStandardInformation. */
function standard(writer: Writer, info: FileInformation): void {
  writer.size64(info.allocationSize).size64(info.endOfFile).u32(info.numberOfLinks)
  writer.u8(Number(info.deletePending)).u8(Number(info.directory)).u16(0)
}

/** 2.4.2 FileAllInformation: the eight classes one after the other, without padding between them. */
function all(writer: Writer, info: FileInformation): void {
  basic(writer, info)
  standard(writer, info)
  writer.u64(info.indexNumber).u32(info.eaSize).u32(info.accessFlags)
  writer.size64(info.currentByteOffset).u32(info.mode).u32(info.alignmentRequirement)
  name(writer, `\\${info.fileName}`)
}

/** 2.4.9 FileCompressionInformation; the shifts stay 0, as the format's only units are the store's. */
function compression(writer: Writer, info: FileInformation): void {
  const size = info.compressionFormat === 0 ? info.endOfFile : Math.min(info.allocationSize, info.endOfFile)
  writer.size64(size).u16(info.compressionFormat).zeros(6)
}

/** 2.4.34 FileNetworkOpenInformation. */
function networkOpen(writer: Writer, info: FileInformation): void {
  times(writer, info)
  writer.size64(info.allocationSize).size64(info.endOfFile).u32(info.fileAttributes).u32(0)
}

/** 2.4.6 FileAttributeTagInformation. */
function attributeTag(writer: Writer, info: FileInformation): void {
  writer.u32(info.fileAttributes).u32(info.reparseTag)
}

/** 2.4.48 FileStandardLinkInformation. */
function standardLink(writer: Writer, info: FileInformation): void {
  writer.u32(info.numberOfLinks).u32(info.numberOfLinks)
  writer.u8(Number(info.deletePending)).u8(Number(info.directory)).u16(0)
}

/** 2.4.26 FileIdInformation: the upper half of the 128-bit FileId is 0. */
function id(writer: Writer, info: FileInformation): void {
  writer.u64(info.volumeSerialNumber).u64(info.indexNumber).u64(0n)
}

function times(writer: Writer, info: FileInformation): void {
  writer.u64(info.creationTime).u64(info.lastAccessTime).u64(info.lastWriteTime).u64(info.changeTime)
}

function name(writer: Writer, text: string): void {
  writer.u32(text.length * 2).utf16(text)
}

/** 2.4.49 FileStreamInformation; empty when there are no streams, as on a directory. */
export function encodeStreamInformation(streams: readonly StreamInformation[]): Buffer {
  const writer = new Writer()
  streams.forEach((stream, index) => {
    writer.align(STREAM_ALIGNMENT_BYTES)
    const start = writer.length
    const nextEntryOffset = writer.reserve(4)
    writer.u32(stream.streamName.length * 2)
    writer.size64(stream.streamSize).size64(stream.streamAllocationSize).utf16(stream.streamName)
    if (index === streams.length - 1) return
    writer.align(STREAM_ALIGNMENT_BYTES)
    writer.patch(nextEntryOffset, writer.length - start)
  })
  return writer.finish()
}

/** 2.4.37 FilePipeInformation. */
export interface PipeInformation {
  /** 0: byte stream, 1: messages. */
  readonly readMode: number
  /** 0: waits, 1: completes at once. */
  readonly completionMode: number
}

export function encodePipeInformation(info: PipeInformation): Buffer {
  return new Writer(8).u32(info.readMode).u32(info.completionMode).finish()
}

/** What a message pipe shows of itself in 2.4.38 FilePipeLocalInformation. */
export interface PipeLocalInformation {
  readonly maximumInstances: number
  readonly currentInstances: number
  /** Bytes that could be read at once. */
  readonly readDataAvailable: number
  /** Bytes per direction. */
  readonly quota: number
}

const FILE_PIPE_MESSAGE_TYPE = 1
const FILE_PIPE_FULL_DUPLEX = 2
const FILE_PIPE_CONNECTED_STATE = 3
const FILE_PIPE_CLIENT_END = 0

export function encodePipeLocalInformation(info: PipeLocalInformation): Buffer {
  const writer = new Writer(40).u32(FILE_PIPE_MESSAGE_TYPE).u32(FILE_PIPE_FULL_DUPLEX)
  writer.u32(info.maximumInstances).u32(info.currentInstances)
  writer.u32(info.quota).u32(info.readDataAvailable)
  writer.u32(info.quota).u32(info.quota)
  return writer.u32(FILE_PIPE_CONNECTED_STATE).u32(FILE_PIPE_CLIENT_END).finish()
}
