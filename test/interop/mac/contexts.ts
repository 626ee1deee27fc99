/** MS-SMB2 2.2.13.2 as smb2_smb_add_create_contexts writes it and smb2_smb_parse_create_contexts reads it (macos.md 3, 4). */

import { expect } from '../report.ts'

const CONTEXT_HEADER_BYTES = 24
/** Exact lengths of what a response may carry (macos.md 3); another name or length fails the open on a Mac. */
const RESPONSE_BYTES: Readonly<Record<string, readonly number[]>> = {
  QFid: [32],
  MxAc: [8],
  RqLs: [32, 52],
  DHnQ: [8],
  DH2Q: [8],
}
const AAPL_MINIMUM_BYTES = 16
const PARENT_LEASE_KEY_SET = 0x4

export interface Context {
  readonly name: string
  readonly data: Buffer
}

/** What a CREATE is answered with, after a Mac's checks. */
export type ContextAnswers = ReadonlyMap<string, Buffer>

/** kAAPL_RESOLVE_ID: where is the file of this id? */
export function resolveId(fileId: bigint): Context {
  const data = Buffer.alloc(16)
  data.writeUInt32LE(2, 0)
  data.writeBigUInt64LE(fileId, 8)
  return { name: 'AAPL', data }
}

/** kAAPL_SERVER_QUERY: everything is asked for, every capability named. */
export function aapl(): Context {
  const data = Buffer.alloc(24)
  data.writeUInt32LE(1, 0)
  data.writeBigUInt64LE(7n, 8)
  data.writeBigUInt64LE(0x3fn, 16)
  return { name: 'AAPL', data }
}

/** MxAc and QFid carry nothing. */
export function empty(name: 'MxAc' | 'QFid'): Context {
  return { name, data: Buffer.alloc(0) }
}

/** @param timeout milliseconds; 0 before the Time Machine gate has set one */
export function durable(createGuid: Buffer, timeout: number): Context {
  const data = Buffer.alloc(32)
  data.writeUInt32LE(timeout, 0)
  createGuid.copy(data, 16)
  return { name: 'DH2Q', data }
}

export function durableReconnect(fileId: Buffer, createGuid: Buffer): Context {
  const data = Buffer.alloc(36)
  fileId.copy(data, 0)
  createGuid.copy(data, 16)
  return { name: 'DH2C', data }
}

/** Version 2, whose epoch a Mac leaves at 0. */
export function lease(key: Buffer, state: number, parentKey?: Buffer): Context {
  const data = Buffer.alloc(52)
  key.copy(data, 0)
  data.writeUInt32LE(state, 16)
  if (parentKey !== undefined) {
    data.writeUInt32LE(PARENT_LEASE_KEY_SET, 20)
    parentKey.copy(data, 32)
  }
  return { name: 'RqLs', data }
}

/** Each with a header of 24 bytes, filled up to 8, the last one too. */
export function encodeContexts(contexts: readonly Context[]): Buffer {
  const encoded = contexts.map(({ name, data }, index) => {
    const bytes = Buffer.alloc(CONTEXT_HEADER_BYTES + ((data.length + 7) & ~7))
    bytes.writeUInt32LE(index === contexts.length - 1 ? 0 : bytes.length, 0)
    bytes.writeUInt16LE(16, 4)
    bytes.writeUInt16LE(4, 6)
    bytes.writeUInt16LE(data.length === 0 ? 0 : CONTEXT_HEADER_BYTES, 10)
    bytes.writeUInt32LE(data.length, 12)
    bytes.write(name, 16, 'latin1')
    data.copy(bytes, CONTEXT_HEADER_BYTES)
    return bytes
  })
  return Buffer.concat(encoded)
}

/**
 * The contexts of a response. @throws CheckError for what fails the open on a Mac: a name it does not know or did not
 * ask for, a length that is not the exact one
 */
export function parseContexts(bytes: Buffer, asked: readonly Context[]): ContextAnswers {
  const answers = new Map<string, Buffer>()
  if (bytes.length === 0) return answers
  for (let at = 0, next = 1; next > 0; at += next) {
    next = bytes.readUInt32LE(at)
    expect(bytes.readUInt16LE(at + 6) === 4, `a context name of ${bytes.readUInt16LE(at + 6)} bytes`)
    const nameAt = at + bytes.readUInt16LE(at + 4)
    const name = bytes.toString('latin1', nameAt, nameAt + 4)
    const dataAt = at + bytes.readUInt16LE(at + 10)
    const data = Buffer.from(bytes.subarray(dataAt, dataAt + bytes.readUInt32LE(at + 12)))
    const lengths = RESPONSE_BYTES[name]
    const fits = name === 'AAPL' ? data.length >= AAPL_MINIMUM_BYTES : lengths?.includes(data.length) === true
    expect(fits, `the context ${name} has ${data.length} bytes`)
    const question = asked.find((context) => context.name === name)
    expect(question !== undefined, `the context ${name} was not asked for`)
    expect(!answers.has(name), `the context ${name} came twice`)
    if (name === 'RqLs') {
      expect(data.length === question.data.length, 'the lease is of another version than the one asked for')
      expect(data.subarray(0, 16).equals(question.data.subarray(0, 16)), 'the lease has another key')
    }
    answers.set(name, data)
  }
  return answers
}

/** The server's answer to AAPL (macos.md 4). */
export interface AaplAnswer {
  readonly bitmap: number
  readonly serverCapabilities: number
  readonly volumeCapabilities: number
  readonly model: string
}

/** @throws CheckError when the parts do not fill the data */
export function parseAapl(data: Buffer): AaplAnswer {
  expect(data.readUInt32LE(0) === 1, 'AAPL is answered with another command')
  const bitmap = Number(data.readBigUInt64LE(8))
  let at = 16
  const capabilities = (bit: number): number => {
    if ((bitmap & bit) === 0) return 0
    at += 8
    return Number(data.readBigUInt64LE(at - 8))
  }
  const serverCapabilities = capabilities(1)
  const volumeCapabilities = capabilities(2)
  let model = ''
  if ((bitmap & 4) !== 0) {
    const length = data.readUInt32LE(at + 4)
    model = data.toString('utf16le', at + 8, at + 8 + length)
    at += 8 + length
  }
  expect(at === data.length, `AAPL has ${data.length} bytes where its parts have ${at}`)
  return { bitmap, serverCapabilities, volumeCapabilities, model }
}
