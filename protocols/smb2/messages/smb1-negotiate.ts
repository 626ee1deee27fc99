/** MS-SMB2 3.3.5.3 and MS-CIFS 2.2.4.52.1: the SMB1 NEGOTIATE request by which old clients look for SMB2. */

import { DecodeError } from '../../wire/errors.ts'
import type { Reader } from '../../wire/reader.ts'
import type { Writer } from '../../wire/writer.ts'
import { ProtocolId } from './header.ts'
import { checkCount } from './structure.ts'

export interface Smb1NegotiateRequest {
  dialects: string[]
}

/** 3.3.5.3.1: dialect 2.0.2 is answered with 0x0202. */
export const SMB1_DIALECT_2_002 = 'SMB 2.002'
/** 3.3.5.3.2: any later one is answered with 0x02FF. */
export const SMB1_DIALECT_2_WILDCARD = 'SMB 2.???'

export const MAX_SMB1_DIALECTS = 64
const SMB_COM_NEGOTIATE = 0x72
const SMB1_HEADER_BYTES = 32
const BUFFER_FORMAT_DIALECT = 0x02

/**
 * Reads the whole frame; the reader stands at its first byte.
 * @throws DecodeError when it is no SMB_COM_NEGOTIATE or its dialects are not well formed
 */
export function decodeSmb1NegotiateRequest(reader: Reader): Smb1NegotiateRequest {
  if (reader.u32() !== ProtocolId.SMB1) throw new DecodeError('ProtocolId is not that of SMB1')
  if (reader.u8() !== SMB_COM_NEGOTIATE) throw new DecodeError('the SMB1 command is not NEGOTIATE')
  reader.skip(SMB1_HEADER_BYTES - 5)
  if (reader.u8() !== 0) throw new DecodeError('WordCount of an SMB1 NEGOTIATE is not 0')
  const byteCount = reader.u16()
  const data = reader.sub(reader.offset, byteCount)
  const dialects: string[] = []
  while (data.remaining > 0) {
    checkCount(dialects.length + 1, MAX_SMB1_DIALECTS, 'SMB1 dialects')
    if (data.u8() !== BUFFER_FORMAT_DIALECT)
      throw new DecodeError('an SMB1 dialect has the wrong BufferFormat')
    dialects.push(readNulTerminated(data))
  }
  return { dialects }
}

function readNulTerminated(reader: Reader): string {
  const bytes = reader.view(reader.offset, reader.remaining)
  const length = bytes.indexOf(0)
  if (length < 0) throw new DecodeError('an SMB1 dialect has no end')
  reader.skip(length + 1)
  return bytes.toString('latin1', 0, length)
}

export function encodeSmb1NegotiateRequest(writer: Writer, m: Smb1NegotiateRequest): void {
  writer
    .u32(ProtocolId.SMB1)
    .u8(SMB_COM_NEGOTIATE)
    .zeros(SMB1_HEADER_BYTES - 5)
    .u8(0)
  const byteCount = writer.reserve(2)
  writer.part({ length: byteCount }, () => {
    for (const dialect of m.dialects) {
      writer.u8(BUFFER_FORMAT_DIALECT).bytes(Buffer.from(dialect, 'latin1')).u8(0)
    }
  })
}
