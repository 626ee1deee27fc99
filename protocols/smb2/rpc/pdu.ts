/** C706 12.6 and MS-RPCE 2.2.2: connection-oriented protocol data units. */

import { DecodeError } from '../../wire/errors.ts'
import { formatGuid, GUID_BYTES, parseGuid } from '../../wire/guid.ts'
import type { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'

export const PduType = {
  REQUEST: 0,
  RESPONSE: 2,
  FAULT: 3,
  BIND: 11,
  BIND_ACK: 12,
  BIND_NAK: 13,
  ALTER_CONTEXT: 14,
  ALTER_CONTEXT_RESPONSE: 15,
  AUTH3: 16,
  CO_CANCEL: 18,
  ORPHANED: 19,
} as const

export const PduFlag = {
  FIRST_FRAGMENT: 0x01,
  LAST_FRAGMENT: 0x02,
  DID_NOT_EXECUTE: 0x20,
  OBJECT_UUID: 0x80,
} as const

/** Of a unit that is not fragmented. */
const WHOLE = PduFlag.FIRST_FRAGMENT | PduFlag.LAST_FRAGMENT
const RPC_VERSION = 5
const LITTLE_ENDIAN_INTEGERS = 0x10
const ALTER_ALIGNMENT_BYTES = 4
/** 12.6.3.1: the common header. */
export const PDU_HEADER_BYTES = 16
/** Where frag_length stands in it. */
const FRAGMENT_LENGTH_OFFSET = 8
/** Header, alloc_hint, context id, cancel count and a reserved byte. */
export const RESPONSE_HEADER_BYTES = 24
/** No fragment is larger, whatever was negotiated: Windows offers 5,840 or, over named pipes, 4,280. */
export const MAXIMUM_FRAGMENT_BYTES = 5840
/** 12.6.3.3 MustRecvFragSize: every implementation takes this much. */
export const MINIMUM_FRAGMENT_BYTES = 1432

export interface PduHeader {
  readonly type: number
  readonly flags: number
  readonly fragmentLength: number
  readonly authLength: number
  readonly callId: number
}

/** frag_length of the unit that begins here; undefined while the header is incomplete. @throws DecodeError for an impossible one */
export function fragmentLengthOf(bytes: Buffer): number | undefined {
  if (bytes.length < PDU_HEADER_BYTES) return undefined
  const length = bytes.readUInt16LE(FRAGMENT_LENGTH_OFFSET)
  if (length < PDU_HEADER_BYTES || length > MAXIMUM_FRAGMENT_BYTES) {
    throw new DecodeError(`an RPC fragment of ${length} bytes`)
  }
  return length
}

/** Reads the common header. @throws DecodeError for another version, or integers that are not little-endian */
export function decodeHeader(reader: Reader): PduHeader {
  const version = reader.u8()
  reader.skip(1)
  const type = reader.u8()
  const flags = reader.u8()
  const integers = reader.u8()
  reader.skip(3)
  if (version !== RPC_VERSION) throw new DecodeError(`RPC version ${version}`)
  if (integers !== LITTLE_ENDIAN_INTEGERS) throw new DecodeError('RPC integers that are not little-endian')
  return { type, flags, fragmentLength: reader.u16(), authLength: reader.u16(), callId: reader.u32() }
}

/** 12.6.3.1 p_syntax_id_t. */
export interface SyntaxId {
  readonly uuid: string
  readonly majorVersion: number
  readonly minorVersion: number
}

export const NDR_SYNTAX: SyntaxId = {
  uuid: '8a885d04-1ceb-11c9-9fe8-08002b104860',
  majorVersion: 2,
  minorVersion: 0,
}

const NO_SYNTAX: SyntaxId = {
  uuid: '00000000-0000-0000-0000-000000000000',
  majorVersion: 0,
  minorVersion: 0,
}

/** MS-RPCE 3.3.1.5.3: a transfer syntax that begins so asks which features the server has. */
export const BIND_TIME_FEATURE_PREFIX = '6cb71c2c-9812-4540-'

export interface PresentationContext {
  readonly contextId: number
  readonly abstractSyntax: SyntaxId
  readonly transferSyntaxes: readonly SyntaxId[]
}

/** 12.6.4.3 bind and 12.6.4.1 alter_context. */
export interface Bind {
  readonly maxTransmitFragment: number
  readonly maxReceiveFragment: number
  readonly assocGroupId: number
  readonly contexts: readonly PresentationContext[]
}

/** The body of bind and alter_context, behind the header. @throws DecodeError */
export function decodeBind(reader: Reader): Bind {
  const maxTransmitFragment = reader.u16()
  const maxReceiveFragment = reader.u16()
  const assocGroupId = reader.u32()
  const contextCount = reader.u8()
  reader.skip(3)
  const contexts: PresentationContext[] = []
  for (let i = 0; i < contextCount; i++) {
    const contextId = reader.u16()
    const syntaxCount = reader.u8()
    reader.skip(1)
    const abstractSyntax = decodeSyntax(reader)
    const transferSyntaxes: SyntaxId[] = []
    for (let j = 0; j < syntaxCount; j++) transferSyntaxes.push(decodeSyntax(reader))
    contexts.push({ contextId, abstractSyntax, transferSyntaxes })
  }
  return { maxTransmitFragment, maxReceiveFragment, assocGroupId, contexts }
}

function decodeSyntax(reader: Reader): SyntaxId {
  return {
    uuid: formatGuid(reader.bytes(GUID_BYTES)),
    majorVersion: reader.u16(),
    minorVersion: reader.u16(),
  }
}

/** 12.6.4.9 request: one fragment of it. */
export interface RequestFragment {
  readonly contextId: number
  readonly opnum: number
  /** A view. */
  readonly stub: Buffer
}

/** The body of a request, behind the header. @throws DecodeError */
export function decodeRequest(reader: Reader, header: PduHeader): RequestFragment {
  // alloc_hint: nothing is allocated by it.
  reader.skip(4)
  const contextId = reader.u16()
  const opnum = reader.u16()
  if (header.flags & PduFlag.OBJECT_UUID) reader.skip(GUID_BYTES)
  return { contextId, opnum, stub: reader.rest() }
}

/** 12.6.3.1 p_result_t. */
export interface ContextResult {
  readonly result: number
  /** provider_reason, or the feature bits of a negotiate_ack. */
  readonly reason: number
  /** The accepted transfer syntax. */
  readonly transferSyntax?: SyntaxId
}

export const ContextResultCode = { ACCEPTANCE: 0, PROVIDER_REJECTION: 2, NEGOTIATE_ACK: 3 } as const

export const ProviderReason = {
  NOT_SPECIFIED: 0,
  ABSTRACT_SYNTAX_NOT_SUPPORTED: 1,
  TRANSFER_SYNTAXES_NOT_SUPPORTED: 2,
} as const

export interface BindAck {
  readonly maxTransmitFragment: number
  readonly maxReceiveFragment: number
  readonly assocGroupId: number
  /** '' in an alter_context response. */
  readonly secondaryAddress: string
  readonly results: readonly ContextResult[]
}

/** 12.6.4.4 bind_ack and 12.6.4.2 alter_context_response. */
export function encodeBindAck(type: number, callId: number, ack: BindAck): Buffer {
  return encodePdu(type, callId, WHOLE, (writer) => {
    writer.u16(ack.maxTransmitFragment).u16(ack.maxReceiveFragment).u32(ack.assocGroupId)
    const address = Buffer.from(ack.secondaryAddress === '' ? '' : `${ack.secondaryAddress}\0`, 'latin1')
    writer.u16(address.length).bytes(address).align(ALTER_ALIGNMENT_BYTES)
    writer.u8(ack.results.length).zeros(3)
    for (const { result, reason, transferSyntax } of ack.results) {
      writer.u16(result).u16(reason)
      encodeSyntax(writer, transferSyntax ?? NO_SYNTAX)
    }
  })
}

function encodeSyntax(writer: Writer, syntax: SyntaxId): void {
  writer.bytes(parseGuid(syntax.uuid)).u16(syntax.majorVersion).u16(syntax.minorVersion)
}

/** 12.6.3.1 p_reject_reason_t. */
export const BindRejectReason = {
  NOT_SPECIFIED: 0,
  PROTOCOL_VERSION_NOT_SUPPORTED: 4,
  AUTHENTICATION_TYPE_NOT_RECOGNIZED: 8,
} as const

/** 12.6.4.5 bind_nak, with the one version that we speak. */
export function encodeBindNak(callId: number, reason: number): Buffer {
  return encodePdu(PduType.BIND_NAK, callId, WHOLE, (writer) => {
    writer.u16(reason).u8(1).u8(RPC_VERSION).u8(0)
  })
}

/** 12.6.4.7 fault. */
export function encodeFault(callId: number, contextId: number, status: number, executed: boolean): Buffer {
  const flags = WHOLE | (executed ? 0 : PduFlag.DID_NOT_EXECUTE)
  return encodePdu(PduType.FAULT, callId, flags, (writer) => {
    writer.u32(0).u16(contextId).u8(0).u8(0).u32(status).u32(0)
  })
}

/** 12.6.4.10 response: the fragments that carry a stub, each at most `maxFragmentBytes`. */
export function encodeResponse(
  callId: number,
  contextId: number,
  stub: Buffer,
  maxFragmentBytes: number,
): Buffer[] {
  // All fragments but the last carry a multiple of 8 bytes, so that alignment is the same in each (C706 12.6.2).
  const payloadBytes = (maxFragmentBytes - RESPONSE_HEADER_BYTES) & -8
  const fragments: Buffer[] = []
  let at = 0
  do {
    const part = stub.subarray(at, at + payloadBytes)
    const first = at === 0 ? PduFlag.FIRST_FRAGMENT : 0
    const last = at + part.length === stub.length ? PduFlag.LAST_FRAGMENT : 0
    const remaining = stub.length - at
    fragments.push(
      encodePdu(PduType.RESPONSE, callId, first | last, (writer) => {
        writer.u32(remaining).u16(contextId).u8(0).u8(0).bytes(part)
      }),
    )
    at += part.length
  } while (at < stub.length)
  return fragments
}

function encodePdu(type: number, callId: number, flags: number, body: (writer: Writer) => void): Buffer {
  const writer = new Writer()
  writer.u8(RPC_VERSION).u8(0).u8(type).u8(flags)
  writer.u8(LITTLE_ENDIAN_INTEGERS).zeros(3)
  const fragmentLength = writer.reserve(2)
  writer.u16(0).u32(callId)
  body(writer)
  writer.patchOffset(fragmentLength)
  return writer.finish()
}
