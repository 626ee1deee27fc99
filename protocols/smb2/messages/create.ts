/** MS-SMB2 2.2.13 and 2.2.14: CREATE Request and Response. */

import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { type CreateContext, decodeCreateContexts, encodeCreateContexts } from './create-contexts.ts'
import { type FileAttributeFields, readFileAttributes, writeFileAttributes } from './file-attribute-fields.ts'
import {
  type FileId,
  padEmptyPart,
  readFileId,
  readStructureSize,
  variableText,
  writeFileId,
  writeVariablePart,
} from './structure.ts'

export interface CreateRequest {
  requestedOplockLevel: number
  impersonationLevel: number
  desiredAccess: number
  fileAttributes: number
  shareAccess: number
  createDisposition: number
  createOptions: number
  /** Relative to the share, separated by backslashes; empty for its root. */
  name: string
  createContexts: CreateContext[]
}

export interface CreateResponse extends FileAttributeFields {
  oplockLevel: number
  flags: number
  createAction: number
  fileId: FileId
  createContexts: CreateContext[]
}

export const OplockLevel = {
  NONE: 0x00,
  II: 0x01,
  EXCLUSIVE: 0x08,
  BATCH: 0x09,
  LEASE: 0xff,
} as const

/** 2.2.14 Flags, dialect 3.x: the last component of the path is a reparse point. */
export const CREATE_FLAG_REPARSEPOINT = 0x01

const REQUEST_STRUCTURE_SIZE = 57
const RESPONSE_STRUCTURE_SIZE = 89
const CONTEXT_ALIGNMENT = 8

export function decodeCreateRequest(reader: Reader): CreateRequest {
  readStructureSize(reader, REQUEST_STRUCTURE_SIZE)
  reader.skip(1) // SecurityFlags: reserved
  const requestedOplockLevel = reader.u8()
  const impersonationLevel = reader.u32()
  reader.skip(16) // SmbCreateFlags and Reserved: ignored
  const desiredAccess = reader.u32()
  const fileAttributes = reader.u32()
  const shareAccess = reader.u32()
  const createDisposition = reader.u32()
  const createOptions = reader.u32()
  const nameOffset = reader.u16()
  const nameLength = reader.u16()
  const contextsOffset = reader.u32()
  const contextsLength = reader.u32()
  return {
    requestedOplockLevel,
    impersonationLevel,
    desiredAccess,
    fileAttributes,
    shareAccess,
    createDisposition,
    createOptions,
    name: variableText(reader, nameOffset, nameLength),
    createContexts: decodeCreateContexts(reader, contextsOffset, contextsLength),
  }
}

export function encodeCreateRequest(writer: Writer, m: CreateRequest): void {
  writer
    .u16(REQUEST_STRUCTURE_SIZE)
    .u8(0)
    .u8(m.requestedOplockLevel)
    .u32(m.impersonationLevel)
    .zeros(16)
    .u32(m.desiredAccess)
    .u32(m.fileAttributes)
    .u32(m.shareAccess)
    .u32(m.createDisposition)
    .u32(m.createOptions)
  const nameOffset = writer.reserve(2)
  const nameLength = writer.reserve(2)
  const contextsOffset = writer.reserve(4)
  const contextsLength = writer.reserve(4)
  writeVariablePart(writer, nameOffset, nameLength, () => writer.utf16(m.name))
  if (m.createContexts.length === 0) {
    padEmptyPart(writer, m.name.length)
    return
  }
  writer.align(CONTEXT_ALIGNMENT)
  writer.part({ offset: contextsOffset, length: contextsLength }, () =>
    encodeCreateContexts(writer, m.createContexts),
  )
}

export function decodeCreateResponse(reader: Reader): CreateResponse {
  readStructureSize(reader, RESPONSE_STRUCTURE_SIZE)
  const oplockLevel = reader.u8()
  const flags = reader.u8()
  const createAction = reader.u32()
  const attributes = readFileAttributes(reader)
  reader.skip(4)
  const fileId = readFileId(reader)
  const contextsOffset = reader.u32()
  const contextsLength = reader.u32()
  const createContexts = decodeCreateContexts(reader, contextsOffset, contextsLength)
  return { oplockLevel, flags, createAction, ...attributes, fileId, createContexts }
}

export function encodeCreateResponse(writer: Writer, m: CreateResponse): void {
  writer.u16(RESPONSE_STRUCTURE_SIZE).u8(m.oplockLevel).u8(m.flags).u32(m.createAction)
  writeFileAttributes(writer, m)
  writer.u32(0)
  writeFileId(writer, m.fileId)
  const contextsOffset = writer.reserve(4)
  const contextsLength = writer.reserve(4)
  writer.part({ offset: contextsOffset, length: contextsLength }, () =>
    encodeCreateContexts(writer, m.createContexts),
  )
}
