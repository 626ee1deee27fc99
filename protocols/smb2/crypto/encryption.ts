/** MS-SMB2 3.1.4.3: encrypting and decrypting what follows a TRANSFORM_HEADER (2.2.41), with AES-CCM and AES-GCM. */

import { createCipheriv, createDecipheriv } from 'node:crypto'
import {
  TRANSFORM_HEADER_BYTES,
  TRANSFORM_NONCE_OFFSET,
  TRANSFORM_SIGNATURE_OFFSET,
} from '../messages/transform-header.ts'
import { Cipher } from './algorithms.ts'

const TAG_BYTES = 16
/** 2.2.41: AES_CCM_Nonce and AES_GCM_Nonce; the rest of the Nonce field is reserved. */
const CCM_NONCE_BYTES = 11
const GCM_NONCE_BYTES = 12
/**
 * Measured with GCM on Node 20: chunks one by one cost what a joined buffer costs up to 64 KiB
 * and a tenth less at 1 MiB, and 8 MiB in pieces of 512 KiB takes half the time of one update
 * (a fresh buffer of megabytes costs page faults).
 */
const PIECE_BYTES = 512 * 1024

/**
 * Encrypts a message. The tag is written into the header's Signature field.
 * @param key 16 or 32 bytes, as the cipher has it
 * @param header the TRANSFORM_HEADER, whole; its nonce must never have been used with the key
 * @returns the encrypted message, as long as the chunks together, to be sent behind the header
 */
export function encrypt(cipher: Cipher, key: Buffer, header: Buffer, chunks: readonly Buffer[]): Buffer[] {
  const aad = additionalData(header)
  const { encrypted, tag } = isCcm(cipher)
    ? encryptCcm(ccmName(cipher), key, aad, Buffer.concat(chunks))
    : encryptGcm(gcmName(cipher), key, aad, chunks)
  tag.copy(header, TRANSFORM_SIGNATURE_OFFSET)
  return encrypted
}

/**
 * Decrypts a message into a new buffer.
 * @param key 16 or 32 bytes, as the cipher has it
 * @param header the TRANSFORM_HEADER, whole
 * @param body all that follows it
 * @returns undefined when header or body are not what the key's owner sent
 */
export function decrypt(cipher: Cipher, key: Buffer, header: Buffer, body: Buffer): Buffer | undefined {
  const aad = additionalData(header)
  const tag = header.subarray(TRANSFORM_SIGNATURE_OFFSET, TRANSFORM_SIGNATURE_OFFSET + TAG_BYTES)
  const decipher = isCcm(cipher)
    ? createDecipheriv(ccmName(cipher), key, aad.subarray(0, CCM_NONCE_BYTES), { authTagLength: TAG_BYTES })
    : createDecipheriv(gcmName(cipher), key, aad.subarray(0, GCM_NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAuthTag(tag)
  decipher.setAAD(aad, { plaintextLength: body.length })
  try {
    const plain = decipher.update(body)
    decipher.final()
    return plain
  } catch {
    // node:crypto has no other way to say that the tag is wrong.
    return undefined
  }
}

/** 3.1.4.3: "the SMB2 TRANSFORM_HEADER, excluding the ProtocolId and Signature fields". It begins with the nonce. */
function additionalData(header: Buffer): Buffer {
  if (header.length !== TRANSFORM_HEADER_BYTES) throw new RangeError('not a whole TRANSFORM_HEADER')
  return header.subarray(TRANSFORM_NONCE_OFFSET)
}

interface Encrypted {
  readonly encrypted: Buffer[]
  readonly tag: Buffer
}

function encryptGcm(
  name: ReturnType<typeof gcmName>,
  key: Buffer,
  aad: Buffer,
  chunks: readonly Buffer[],
): Encrypted {
  const cipher = createCipheriv(name, key, aad.subarray(0, GCM_NONCE_BYTES))
  cipher.setAAD(aad)
  const encrypted: Buffer[] = []
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      encrypted.push(cipher.update(chunk.subarray(at, at + PIECE_BYTES)))
    }
  }
  cipher.final()
  return { encrypted, tag: cipher.getAuthTag() }
}

/** CCM authenticates the length first, and node:crypto takes the message in one piece only. */
function encryptCcm(name: ReturnType<typeof ccmName>, key: Buffer, aad: Buffer, message: Buffer): Encrypted {
  const cipher = createCipheriv(name, key, aad.subarray(0, CCM_NONCE_BYTES), { authTagLength: TAG_BYTES })
  cipher.setAAD(aad, { plaintextLength: message.length })
  const encrypted = [cipher.update(message)]
  cipher.final()
  return { encrypted, tag: cipher.getAuthTag() }
}

function isCcm(cipher: Cipher): boolean {
  return cipher === Cipher.aes128ccm || cipher === Cipher.aes256ccm
}

function ccmName(cipher: Cipher) {
  return cipher === Cipher.aes128ccm ? 'aes-128-ccm' : 'aes-256-ccm'
}

function gcmName(cipher: Cipher) {
  return cipher === Cipher.aes128gcm ? 'aes-128-gcm' : 'aes-256-gcm'
}
