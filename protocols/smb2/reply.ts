/** MS-SMB2 3.3.4.1: responses, their compounding, signing (3.3.4.1.1) and encryption (3.3.4.1.4). */

import type { Effect } from '../transport/engine.ts'
import { Writer } from '../wire/writer.ts'
import { COMPOUND_ALIGNMENT_BYTES } from './compound.ts'
import { encrypt } from './crypto/encryption.ts'
import { type SigningKey, sign } from './crypto/signing.ts'
import { Dialect } from './messages/dialects.ts'
import { ErrorId, encodeErrorResponse, PLAIN_ERROR } from './messages/error.ts'
import { encodeHeader, type Header, HeaderFlag, SIGNATURE_BYTES } from './messages/header.ts'
import {
  encodeTransformHeader,
  TRANSFORM_FLAG_ENCRYPTED,
  TRANSFORM_NONCE_BYTES,
} from './messages/transform-header.ts'
import type { Payload } from './outcome.ts'
import type { Connection } from './state/connection.ts'
import type { Session } from './state/session.ts'

const NEXT_COMMAND_OFFSET = 20
const FLAGS_OFFSET = 16
const RESPONSE_CAPACITY_BYTES = 512
const NO_DATA = Buffer.alloc(0)
/** Filled in when the message was encrypted. */
const NO_SIGNATURE = Buffer.alloc(SIGNATURE_BYTES)

type SendEffect = Extract<Effect, { kind: 'send' }>

/** One encoded response, not signed yet. */
export interface Reply {
  readonly header: Header
  /** Header and body. */
  readonly head: Buffer
  readonly payload: Payload | undefined
  readonly signingKey: SigningKey | undefined
  /** Sees header and body as they go out, signature and all (preauthentication integrity). */
  readonly onSigned?: (message: Buffer) => void
}

/** Encodes a response: its header, then what `encodeBody` writes. */
export function encodeReply(
  header: Header,
  encodeBody: (writer: Writer) => void,
  payload: Payload | undefined,
  signingKey: SigningKey | undefined,
): Reply {
  const writer = new Writer(RESPONSE_CAPACITY_BYTES)
  encodeHeader(writer, header)
  encodeBody(writer)
  return { header, head: writer.finish(), payload, signingKey }
}

/** The ERROR Response (2.2.2) with this header; dialect 3.1.1 wraps its data into a context (2.2.2.1). */
export function encodeErrorReply(
  header: Header,
  errorData: Buffer | undefined,
  dialect: number,
  signingKey: SigningKey | undefined,
): Reply {
  const encodeBody = (writer: Writer) => {
    if (errorData === undefined) encodeErrorResponse(writer, PLAIN_ERROR)
    else if (dialect < Dialect.SMB_3_1_1) encodeErrorResponse(writer, { errorContexts: [], errorData })
    else
      encodeErrorResponse(writer, {
        errorContexts: [{ errorId: ErrorId.DEFAULT, errorData }],
        errorData: NO_DATA,
      })
  }
  return encodeReply(header, encodeBody, undefined, signingKey)
}

/**
 * Joins responses to one frame, signed or encrypted.
 * @param encryptWith the session whose keys encrypt the frame, when it is to be
 */
export function sendReplies(
  connection: Connection,
  replies: readonly Reply[],
  encryptWith: Session | undefined,
): SendEffect {
  const chunks: Buffer[] = []
  replies.forEach((reply, index) => {
    const isLast = index === replies.length - 1
    const member = replies.length === 1 ? chunksOf(reply) : compoundMember(reply, isLast)
    if (encryptWith === undefined) signMember(reply, member)
    reply.onSigned?.(reply.head)
    chunks.push(...member)
  })
  const sent = encryptWith === undefined ? chunks : encryptFrame(connection, encryptWith, chunks)
  if (replies.every((reply) => reply.payload?.release === undefined)) return { kind: 'send', chunks: sent }
  const release = () => {
    for (const reply of replies) reply.payload?.release?.()
  }
  return { kind: 'send', chunks: sent, release }
}

function chunksOf({ head, payload }: Reply): Buffer[] {
  return payload === undefined ? [head] : [head, payload.data]
}

/** A member's chunks, padded so that the next begins aligned (3.3.4.1.3); Windows pads the last one as well. */
function compoundMember(reply: Reply, isLast: boolean): Buffer[] {
  const member = chunksOf(reply)
  const length = reply.head.length + (reply.payload?.data.length ?? 0)
  const over = length % COMPOUND_ALIGNMENT_BYTES
  const padding = over === 0 ? 0 : COMPOUND_ALIGNMENT_BYTES - over
  if (padding > 0) member.push(Buffer.alloc(padding))
  if (!isLast) reply.head.writeUInt32LE(length + padding, NEXT_COMMAND_OFFSET)
  return member
}

function signMember(reply: Reply, member: readonly Buffer[]): void {
  if (reply.signingKey === undefined) return
  reply.head.writeUInt32LE(reply.header.flags | HeaderFlag.SIGNED, FLAGS_OFFSET)
  sign(reply.signingKey, member)
}

/** Puts a frame into a TRANSFORM_HEADER (2.2.41); the chunks are this response's alone, so they are encrypted where they are. */
function encryptFrame(connection: Connection, session: Session, chunks: readonly Buffer[]): Buffer[] {
  if (session.keys?.encryptionKey === undefined || connection.cipherId === 0) {
    throw new Error('a session without an encryption key cannot encrypt')
  }
  session.encryptionNonce += 1n
  const nonce = Buffer.alloc(TRANSFORM_NONCE_BYTES)
  nonce.writeBigUInt64LE(session.encryptionNonce)
  const originalMessageSize = chunks.reduce((total, chunk) => total + chunk.length, 0)
  const writer = new Writer()
  encodeTransformHeader(writer, {
    signature: NO_SIGNATURE,
    nonce,
    originalMessageSize,
    flags: TRANSFORM_FLAG_ENCRYPTED,
    sessionId: session.sessionId,
  })
  const head = writer.finish()
  return [head, ...encrypt(connection.cipherId, session.keys.encryptionKey, head, chunks)]
}
