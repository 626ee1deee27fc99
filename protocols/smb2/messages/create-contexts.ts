/** MS-SMB2 2.2.13.2: the list of create contexts, the same in CREATE Request and Response (2.2.14.2). */

import { DecodeError } from '../../wire/errors.ts'
import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { checkCount } from './structure.ts'

/**
 * Names as latin1 text: four letters, or the 16 bytes of a GUID.
 * EXTENDED_ATTRIBUTES, SECURITY_DESCRIPTOR, AAPL and the POSIX one carry other formats as they are.
 */
export const CreateContextName = {
  EXTENDED_ATTRIBUTES: 'ExtA',
  SECURITY_DESCRIPTOR: 'SecD',
  DURABLE_HANDLE_REQUEST: 'DHnQ',
  DURABLE_HANDLE_RECONNECT: 'DHnC',
  ALLOCATION_SIZE: 'AlSi',
  MAXIMAL_ACCESS: 'MxAc',
  TIMEWARP_TOKEN: 'TWrp',
  ON_DISK_ID: 'QFid',
  /** Version 1 or 2, told apart by the size of its data. */
  LEASE: 'RqLs',
  DURABLE_HANDLE_REQUEST_V2: 'DH2Q',
  DURABLE_HANDLE_RECONNECT_V2: 'DH2C',
  APP_INSTANCE_ID: guidName('45bca66aefa7f74a9008fa462e144d74'),
  APP_INSTANCE_VERSION: guidName('b982d0b73b56074fa07b524a8116a010'),
  SVHDX_OPEN_DEVICE: guidName('9ccbcf9e04c1e643980e158da1f6ec83'),
  /** Apple's: the client asks what the server knows of Mac extensions. */
  AAPL: 'AAPL',
  /** The POSIX extensions of the Linux kernel. */
  POSIX: guidName('93ad25509cb411e7b42383de968bcd7c'),
} as const

export interface CreateContext {
  /** One character per byte (latin1). */
  name: string
  /** A view of the message when decoded. */
  data: Buffer
}

export const MAX_CREATE_CONTEXTS = 32
const CONTEXT_ALIGNMENT = 8
const CONTEXT_HEADER_BYTES = 16
/** Every name of 2.2.13.2 has four bytes or more; smbtorture asks that a shorter one be refused. */
const MIN_NAME_BYTES = 4

function guidName(hex: string): string {
  return Buffer.from(hex, 'hex').toString('latin1')
}

/** The data of the first context of that name. */
export function findCreateContext(contexts: readonly CreateContext[], name: string): Buffer | undefined {
  return contexts.find((context) => context.name === name)?.data
}

/**
 * Reads the list that fills `length` bytes at `offset` from the reader's base.
 * @throws DecodeError when it has more than MAX_CREATE_CONTEXTS members or one reaches outside
 */
export function decodeCreateContexts(reader: Reader, offset: number, length: number): CreateContext[] {
  if (length === 0) return []
  if (offset < reader.offset || offset % CONTEXT_ALIGNMENT !== 0) {
    throw new DecodeError('CreateContextsOffset is wrong')
  }
  const list = reader.sub(offset, length)
  const contexts: CreateContext[] = []
  for (let at = 0; ; ) {
    checkCount(contexts.length + 1, MAX_CREATE_CONTEXTS, 'create contexts')
    const next = list.seek(at).u32()
    // Every step is at least a header long, so the walk ends.
    if (next % CONTEXT_ALIGNMENT !== 0 || (next !== 0 && next < CONTEXT_HEADER_BYTES)) {
      throw new DecodeError(`Next of a create context is ${next}`)
    }
    contexts.push(decodeContext(list.sub(at, next === 0 ? list.length - at : next)))
    if (next === 0) return contexts
    at += next
  }
}

function decodeContext(context: Reader): CreateContext {
  context.skip(4)
  const nameOffset = context.u16()
  const nameLength = context.u16()
  context.skip(2)
  const dataOffset = context.u16()
  const dataLength = context.u32()
  if (nameLength < MIN_NAME_BYTES || nameOffset < CONTEXT_HEADER_BYTES) {
    throw new DecodeError('the name of a create context is too short, or lies in its header')
  }
  if (dataLength > 0 && dataOffset < CONTEXT_HEADER_BYTES) {
    throw new DecodeError('the data of a create context lies in its header')
  }
  return {
    name: context.view(nameOffset, nameLength).toString('latin1'),
    data: context.view(dataOffset, dataLength),
  }
}

/** Writes the list; the writer stands at a multiple of 8 from its base. */
export function encodeCreateContexts(writer: Writer, contexts: readonly CreateContext[]): void {
  contexts.forEach((context, index) => {
    const outer = writer.rebase()
    const next = writer.reserve(4)
    encodeContext(writer, context)
    if (index < contexts.length - 1) {
      writer.align(CONTEXT_ALIGNMENT)
      writer.patchOffset(next)
    }
    writer.rebase(outer)
  })
}

/** The writer's base is the start of this context. */
function encodeContext(writer: Writer, { name, data }: CreateContext): void {
  const nameOffset = writer.reserve(2)
  const nameLength = writer.reserve(2)
  writer.u16(0)
  const dataOffset = writer.reserve(2)
  const dataLength = writer.reserve(4)
  writer.part({ offset: nameOffset, length: nameLength }, () => writer.bytes(Buffer.from(name, 'latin1')))
  writer.align(CONTEXT_ALIGNMENT)
  writer.patchOffset(dataOffset)
  writer.part({ length: dataLength }, () => writer.bytes(data))
}
