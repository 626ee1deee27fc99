/** MS-SMB2 3.1.4.3: encrypting and decrypting what follows a TRANSFORM_HEADER (2.2.41), with AES-CCM and AES-GCM, where it lies. */

import { createCipheriv, createDecipheriv } from 'node:crypto'
import {
  TRANSFORM_HEADER_BYTES,
  TRANSFORM_NONCE_OFFSET,
  TRANSFORM_SIGNATURE_OFFSET,
} from '../messages/transform-header.ts'
import { Cipher } from './algorithms.ts'
import { ccmDecrypt, ccmEncrypt } from './ccm.ts'
import { HAS_EVP } from './evp.ts'
import { gcmDecrypt, gcmEncrypt } from './gcm.ts'

const TAG_BYTES = 16
/** 2.2.41: AES_CCM_Nonce and AES_GCM_Nonce; the rest of the Nonce field is reserved. */
const CCM_NONCE_BYTES = 11
const GCM_NONCE_BYTES = 12

type CcmName = 'aes-128-ccm' | 'aes-256-ccm'
type GcmName = 'aes-128-gcm' | 'aes-256-gcm'

/**
 * Encrypts a message in place. The tag is written into the header's Signature field.
 *
 * In place, because node:crypto gives every piece back in a fresh buffer: measured on Node 20, collecting those and
 * faulting their pages in costs a busy server more than the cipher itself.
 * @param key 16 or 32 bytes, as the cipher has it
 * @param header the TRANSFORM_HEADER, whole; its nonce must never have been used with the key
 * @param chunks the message, in parts that nobody else looks at; to be sent behind the header
 * @returns the chunks
 */
export function encrypt(
  cipher: Cipher,
  key: Buffer,
  header: Buffer,
  chunks: readonly Buffer[],
): readonly Buffer[] {
  const aad = additionalData(header)
  const tag = encryptChunks(cipher, key, aad, chunks)
  tag.copy(header, TRANSFORM_SIGNATURE_OFFSET)
  return chunks
}

/**
 * Decrypts a message in place.
 * @param key 16 or 32 bytes, as the cipher has it
 * @param header the TRANSFORM_HEADER, whole
 * @param body all that follows it
 * @returns the body; undefined when header or body are not what the key's owner sent
 */
export function decrypt(cipher: Cipher, key: Buffer, header: Buffer, body: Buffer): Buffer | undefined {
  const aad = additionalData(header)
  const tag = header.subarray(TRANSFORM_SIGNATURE_OFFSET, TRANSFORM_SIGNATURE_OFFSET + TAG_BYTES)
  if (HAS_EVP) {
    const isAuthentic = isCcm(cipher)
      ? ccmDecrypt(key, aad.subarray(0, CCM_NONCE_BYTES), aad, body, tag)
      : gcmDecrypt(key, aad.subarray(0, GCM_NONCE_BYTES), aad, body, tag)
    return isAuthentic ? body : undefined
  }
  const decipher = isCcm(cipher)
    ? createDecipheriv(ccmName(cipher), key, aad.subarray(0, CCM_NONCE_BYTES), { authTagLength: TAG_BYTES })
    : createDecipheriv(gcmName(cipher), key, aad.subarray(0, GCM_NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAuthTag(tag)
  decipher.setAAD(aad, { plaintextLength: body.length })
  try {
    decipher.update(body).copy(body)
    decipher.final()
    return body
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

/** @returns the tag */
function encryptChunks(cipher: Cipher, key: Buffer, aad: Buffer, chunks: readonly Buffer[]): Buffer {
  if (!HAS_EVP) {
    return isCcm(cipher)
      ? encryptCcm(ccmName(cipher), key, aad, chunks)
      : encryptGcm(gcmName(cipher), key, aad, chunks)
  }
  return isCcm(cipher)
    ? ccmEncrypt(key, aad.subarray(0, CCM_NONCE_BYTES), aad, chunks)
    : gcmEncrypt(key, aad.subarray(0, GCM_NONCE_BYTES), aad, chunks)
}

function encryptGcm(name: GcmName, key: Buffer, aad: Buffer, chunks: readonly Buffer[]): Buffer {
  const cipher = createCipheriv(name, key, aad.subarray(0, GCM_NONCE_BYTES))
  cipher.setAAD(aad)
  for (const chunk of chunks) cipher.update(chunk).copy(chunk)
  cipher.final()
  return cipher.getAuthTag()
}

/** CCM authenticates the length first, and node:crypto takes the message in one piece only. */
function encryptCcm(name: CcmName, key: Buffer, aad: Buffer, chunks: readonly Buffer[]): Buffer {
  const message = Buffer.concat(chunks)
  const cipher = createCipheriv(name, key, aad.subarray(0, CCM_NONCE_BYTES), { authTagLength: TAG_BYTES })
  cipher.setAAD(aad, { plaintextLength: message.length })
  const encrypted = cipher.update(message)
  cipher.final()
  let at = 0
  for (const chunk of chunks) at += encrypted.copy(chunk, 0, at)
  return cipher.getAuthTag()
}

function isCcm(cipher: Cipher): boolean {
  return cipher === Cipher.aes128ccm || cipher === Cipher.aes256ccm
}

function ccmName(cipher: Cipher): CcmName {
  return cipher === Cipher.aes128ccm ? 'aes-128-ccm' : 'aes-256-ccm'
}

function gcmName(cipher: Cipher): GcmName {
  return cipher === Cipher.aes128gcm ? 'aes-128-gcm' : 'aes-256-gcm'
}
