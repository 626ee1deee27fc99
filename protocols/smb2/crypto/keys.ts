/** MS-SMB2 3.3.5.5.3: the signing, encryption and application keys of a session, for each dialect, as the server names them. */

import { Dialect } from '../messages/dialects.ts'
import { type Cipher, cipherKeyBytes } from './algorithms.ts'
import { deriveKey } from './kdf.ts'

/** Session.SessionKey: "the first 16 bytes of the cryptographic key", filled with zeros when that is shorter. */
const SESSION_KEY_BYTES = 16

export interface SessionKeys {
  readonly signingKey: Buffer
  /** Encrypts what the server sends; undefined without a cipher. */
  readonly encryptionKey: Buffer | undefined
  /** Decrypts what the client sends; undefined without a cipher. */
  readonly decryptionKey: Buffer | undefined
  readonly applicationKey: Buffer
}

export interface KeySource {
  /** One of Dialect, not the wildcard. */
  readonly dialect: number
  /** The key of the authentication, whole: it is Session.FullSessionKey. */
  readonly sessionKey: Buffer
  /** Connection.CipherId, 0 when there is none. */
  readonly cipher: Cipher | 0
  /** Session.PreauthIntegrityHashValue, needed by dialect 3.1.1 and by no other. */
  readonly preauthIntegrityHash: Buffer | undefined
}

interface Purpose {
  readonly label: Buffer
  /** undefined: the preauthentication integrity hash. */
  readonly context: Buffer | undefined
}

interface Purposes {
  readonly signing: Purpose
  readonly encryption: Purpose
  readonly decryption: Purpose
  readonly application: Purpose
}

function purpose(label: string, context?: string): Purpose {
  const terminated = (text: string) => Buffer.from(`${text}\0`, 'latin1')
  return { label: terminated(label), context: context === undefined ? undefined : terminated(context) }
}

/** Dialects 3.0 and 3.0.2. The space in "ServerIn " is the specification's. */
const PURPOSES_3_0: Purposes = {
  signing: purpose('SMB2AESCMAC', 'SmbSign'),
  encryption: purpose('SMB2AESCCM', 'ServerOut'),
  decryption: purpose('SMB2AESCCM', 'ServerIn '),
  application: purpose('SMB2APP', 'SmbRpc'),
}

const PURPOSES_3_1_1: Purposes = {
  signing: purpose('SMBSigningKey'),
  encryption: purpose('SMBS2CCipherKey'),
  decryption: purpose('SMBC2SCipherKey'),
  application: purpose('SMBAppKey'),
}

/**
 * The keys of a session.
 * @throws Error when dialect 3.1.1 comes without its preauthentication integrity hash
 */
export function deriveKeys(source: KeySource): SessionKeys {
  const { dialect, cipher } = source
  const sessionKey = Buffer.alloc(SESSION_KEY_BYTES)
  source.sessionKey.copy(sessionKey)
  if (dialect < Dialect.SMB_3_0) {
    return {
      signingKey: sessionKey,
      encryptionKey: undefined,
      decryptionKey: undefined,
      applicationKey: sessionKey,
    }
  }
  const is311 = dialect === Dialect.SMB_3_1_1
  const purposes = is311 ? PURPOSES_3_1_1 : PURPOSES_3_0
  const hash = source.preauthIntegrityHash
  const derive = (key: Buffer, { label, context = hash }: Purpose, bytes: number) => {
    if (context === undefined) throw new Error('dialect 3.1.1 needs the preauthentication integrity hash')
    return deriveKey(key, label, context, bytes)
  }
  const cipherBytes = cipher === 0 ? 0 : cipherKeyBytes(cipher)
  // An AES-256 key comes from Session.FullSessionKey, all others from Session.SessionKey.
  const cipherSource = cipherBytes > SESSION_KEY_BYTES ? source.sessionKey : sessionKey
  const cipherKey = (which: Purpose) =>
    cipherBytes === 0 ? undefined : derive(cipherSource, which, cipherBytes)
  return {
    signingKey: derive(sessionKey, purposes.signing, SESSION_KEY_BYTES),
    encryptionKey: cipherKey(purposes.encryption),
    decryptionKey: cipherKey(purposes.decryption),
    applicationKey: derive(sessionKey, purposes.application, SESSION_KEY_BYTES),
  }
}
