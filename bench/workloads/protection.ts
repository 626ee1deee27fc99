/** MS-SMB2 3.2.5.2: how messages of a session are protected, by smbclient's options, and whether it came to that. */

import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:net'
import { Cipher, SigningAlgorithm } from '../../protocols/smb2/crypto/algorithms.ts'
import { Command } from '../../protocols/smb2/messages/commands.ts'
import { Dialect } from '../../protocols/smb2/messages/dialects.ts'
import { decodeHeader, HeaderFlag } from '../../protocols/smb2/messages/header.ts'
import { decodeNegotiateResponse, type NegotiateResponse } from '../../protocols/smb2/messages/negotiate.ts'
import { Reader } from '../../protocols/wire/reader.ts'
import type { RunningServer } from '../peers/peer.ts'

export interface Protection {
  /** As rows are called by it; empty: none. */
  readonly name: string
  /** smbclient's --client-protection. */
  readonly level: 'off' | 'sign' | 'encrypt'
  /** The one algorithm that smbclient offers, by Samba's name. */
  readonly offer: string | undefined
  /** By its number (2.2.3.1.2, 2.2.3.1.7). */
  readonly algorithm: number | undefined
  /** How much of the amount is transferred with it: where the algorithm itself takes the time, less tells as much. */
  readonly part: number
}

const SLOW_PART = 1 / 4

const signed = (name: string, offer: string, algorithm: SigningAlgorithm, part = 1): Protection => ({
  ...{ name: `signed ${name}`, level: 'sign', offer, algorithm, part },
})
const encrypted = (offer: string, algorithm: Cipher, part = 1): Protection => ({
  ...{ name: `encrypted ${offer}`, level: 'encrypt', offer, algorithm, part },
})

export const PLAIN: Protection = { name: '', level: 'off', offer: undefined, algorithm: undefined, part: 1 }
export const GMAC = signed('GMAC', 'AES-128-GMAC', SigningAlgorithm.aesGmac)
export const CMAC = signed('CMAC', 'AES-128-CMAC', SigningAlgorithm.aesCmac, SLOW_PART)
export const HMAC = signed('HMAC', 'HMAC-SHA256', SigningAlgorithm.hmacSha256, SLOW_PART)
export const GCM_128 = encrypted('AES-128-GCM', Cipher.aes128gcm)
export const GCM_256 = encrypted('AES-256-GCM', Cipher.aes256gcm)
export const CCM_128 = encrypted('AES-128-CCM', Cipher.aes128ccm, SLOW_PART)

/** smbclient's arguments. */
export function protectionArguments({ level, offer }: Protection): string[] {
  const kind = level === 'sign' ? 'signing' : 'encryption'
  const only = offer === undefined ? [] : [`--option=client smb3 ${kind} algorithms=${offer}`]
  return [`--client-protection=${level}`, ...only]
}

const LENGTH_BYTES = 4
const ENCRYPTED_PROTOCOL_ID = 0xfd

/**
 * Has a client connect through a relay that looks at what the server sends.
 * @param work a session of few messages, with the port of the relay
 * @throws Error when the session had another algorithm than it was to have, or another protection
 */
export async function requireProtection(
  { algorithm, level, name }: Protection,
  server: RunningServer,
  work: (port: number) => Promise<unknown>,
): Promise<void> {
  const frames = framesIn(await relayed(server.port, work))
  const answer = frames
    .filter(isPlain)
    .map(negotiated)
    .findLast((one) => one !== undefined)
  if (answer?.dialectRevision !== Dialect.SMB_3_1_1) throw new Error('the session is not of dialect 3.1.1')
  const chosen = algorithmOf(answer, level)
  if (chosen !== algorithm) throw new Error(`${name}: the server chose algorithm ${chosen}, not ${algorithm}`)
  const last = frames.at(-1)
  if (last === undefined || protectionOf(last) !== level) throw new Error(`${name}: the session is not so`)
}

function algorithmOf(answer: NegotiateResponse, level: Protection['level']): number | undefined {
  if (level === 'off') return undefined
  for (const context of answer.negotiateContexts) {
    if (level === 'sign' && context.kind === 'signing') return context.algorithms[0]
    if (level === 'encrypt' && context.kind === 'encryption') return context.ciphers[0]
  }
  return undefined
}

function isPlain(frame: Buffer): boolean {
  return frame[0] !== ENCRYPTED_PROTOCOL_ID
}

function negotiated(frame: Buffer): NegotiateResponse | undefined {
  const reader = new Reader(frame)
  return decodeHeader(reader).command === Command.NEGOTIATE ? decodeNegotiateResponse(reader) : undefined
}

function protectionOf(frame: Buffer): Protection['level'] {
  if (!isPlain(frame)) return 'encrypt'
  return (decodeHeader(new Reader(frame)).flags & HeaderFlag.SIGNED) === 0 ? 'off' : 'sign'
}

/** 2.1: a zero byte and a length of three before each message. */
function framesIn(stream: Buffer): Buffer[] {
  const frames: Buffer[] = []
  for (let at = 0; at + LENGTH_BYTES < stream.length; ) {
    const end = at + LENGTH_BYTES + stream.readUInt32BE(at)
    frames.push(stream.subarray(at + LENGTH_BYTES, end))
    at = end
  }
  return frames
}

/** @returns all that the server sent */
async function relayed(port: number, work: (port: number) => Promise<unknown>): Promise<Buffer> {
  const sent: Buffer[] = []
  const relay = createServer((client) => {
    const server = connect(port, '127.0.0.1')
    server.on('data', (bytes) => sent.push(bytes))
    client.pipe(server).pipe(client)
    // Either may hang up when it is done.
    client.on('error', () => server.destroy())
    server.on('error', () => client.destroy())
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  try {
    await work((relay.address() as AddressInfo).port)
  } finally {
    relay.close()
  }
  return Buffer.concat(sent)
}
