/** MS-NLMP 2.2.1 and RFC 4178 as the Mac's Heimdal writes them: NTLMv2 with a MIC inside SPNEGO, byte by byte. */

import { randomBytes } from 'node:crypto'
import { contextTag, DerReader, der, Tag } from '../../../protocols/auth/der.ts'
import { ntHash } from '../../../protocols/auth/nt-hash.ts'
import {
  encodeTemp,
  messageIntegrityCode,
  ntowfv2,
  ntProofStr,
  sessionBaseKey,
} from '../../../protocols/auth/ntlm/ntlmv2.ts'
import { signFirstMessage } from '../../../protocols/auth/ntlm/session-security.ts'
import { rc4 } from '../../../protocols/auth/rc4.ts'
import { expect } from '../report.ts'

/** UNICODE, REQUEST_TARGET, SIGN, NTLM, ALWAYS_SIGN, EXTENDED_SESSIONSECURITY, TARGET_INFO, VERSION, 128, KEY_EXCH. */
const MAC_FLAGS = 0x6288_8215
/** Windows 7's, revision 15. */
const VERSION = Buffer.from('0601b11d0000000f', 'hex')
const SIGNATURE = Buffer.from('NTLMSSP\0', 'latin1')
const SPNEGO_OID = Buffer.from('2b0601050502', 'hex')
const NTLM_OID = Buffer.from('2b06010401823702020a', 'hex')
const MECH_TYPES = der(Tag.SEQUENCE, der(Tag.OBJECT_IDENTIFIER, NTLM_OID))
const AV = { EOL: 0, FLAGS: 6, TIMESTAMP: 7, TARGET_NAME: 9, CHANNEL_BINDINGS: 10 } as const
const AV_FLAG_MIC = 2
const TYPE_3_HEADER_BYTES = 88
const MIC_OFFSET = 72
const KEY_BYTES = 16

/** A Mac's exchange of one session setup. */
export class MacNtlm {
  readonly #user: string
  readonly #password: string
  readonly #host: string
  readonly #negotiateMessage: Buffer
  /** ExportedSessionKey, once `respond` was called. */
  sessionKey: Buffer = Buffer.alloc(0)
  #flags = 0

  constructor(user: string, password: string, host: string) {
    this.#user = user
    this.#password = password
    this.#host = host
    const fields = Buffer.alloc(24)
    fields.writeUInt32LE(1, 0)
    fields.writeUInt32LE(MAC_FLAGS, 4)
    this.#negotiateMessage = Buffer.concat([SIGNATURE, fields, VERSION])
  }

  /** The NegTokenInit with the NEGOTIATE_MESSAGE. */
  begin(): Buffer {
    const mechToken = der(contextTag(2), der(Tag.OCTET_STRING, this.#negotiateMessage))
    const init = der(Tag.SEQUENCE, der(contextTag(0), MECH_TYPES), mechToken)
    return der(Tag.APPLICATION_0, der(Tag.OBJECT_IDENTIFIER, SPNEGO_OID), der(contextTag(0), init))
  }

  /** The NegTokenResp with the AUTHENTICATE_MESSAGE. @throws CheckError when the challenge is none */
  respond(token: Buffer): Buffer {
    const challenge = fieldOf(token, 2)
    expect(challenge !== undefined, 'the first SESSION_SETUP was answered without a challenge')
    const message = this.#authenticate(challenge)
    const mic = signFirstMessage(this.#flags, this.sessionKey, 'client', MECH_TYPES)
    const responseToken = der(contextTag(2), der(Tag.OCTET_STRING, message))
    const mechListMic = der(contextTag(3), der(Tag.OCTET_STRING, mic))
    return der(contextTag(1), der(Tag.SEQUENCE, responseToken, mechListMic))
  }

  /** Checks the server's last token. @throws CheckError when it does not prove that it knows the key */
  finish(token: Buffer): void {
    const mic = fieldOf(token, 3)
    const expected = signFirstMessage(this.#flags, this.sessionKey, 'server', MECH_TYPES)
    expect(mic?.equals(expected) === true, 'the mechListMIC of the last SESSION_SETUP is missing or wrong')
  }

  #authenticate(challenge: Buffer): Buffer {
    expect(
      challenge.subarray(0, 8).equals(SIGNATURE) && challenge.readUInt32LE(8) === 2,
      'no CHALLENGE_MESSAGE',
    )
    this.#flags = (challenge.readUInt32LE(20) & MAC_FLAGS) >>> 0
    const domain = payloadAt(challenge, 12)
    const pairs = pairsOf(payloadAt(challenge, 40))
    const timestamp = pairs.find(([id]) => id === AV.TIMESTAMP)?.[1].readBigUInt64LE()
    expect(timestamp !== undefined, 'no timestamp in the challenge: the Mac would send no MIC')
    const key = ntowfv2(ntHash(this.#password), this.#user, domain.toString('utf16le'))
    const temp = encodeTemp(timestamp, randomBytes(8), this.#answeredPairs(pairs))
    const proof = ntProofStr(key, challenge.subarray(24, 32), temp)
    const base = sessionBaseKey(key, proof)
    this.sessionKey = randomBytes(KEY_BYTES)
    const parts = [
      Buffer.alloc(24),
      Buffer.concat([proof, temp]),
      domain,
      Buffer.from(this.#user, 'utf16le'),
      Buffer.from('MACBOOK', 'utf16le'),
      rc4(base, this.sessionKey),
    ]
    const header = Buffer.alloc(TYPE_3_HEADER_BYTES)
    SIGNATURE.copy(header)
    header.writeUInt32LE(3, 8)
    let at = TYPE_3_HEADER_BYTES
    for (const [index, part] of parts.entries()) {
      header.writeUInt16LE(part.length, 12 + 8 * index)
      header.writeUInt16LE(part.length, 14 + 8 * index)
      header.writeUInt32LE(at, 16 + 8 * index)
      at += part.length
    }
    header.writeUInt32LE(this.#flags, 60)
    VERSION.copy(header, 64)
    const message = Buffer.concat([header, ...parts])
    messageIntegrityCode(this.sessionKey, [this.#negotiateMessage, challenge, message]).copy(
      message,
      MIC_OFFSET,
    )
    return message
  }

  /** The server's attributes, and what the Mac adds: that there is a MIC, no channel binding, the service. */
  #answeredPairs(pairs: readonly Pair[]): Pair[] {
    const flags = Buffer.alloc(4)
    flags.writeUInt32LE(AV_FLAG_MIC)
    return [
      ...pairs.filter(([id]) => id !== AV.FLAGS),
      [AV.FLAGS, flags],
      [AV.CHANNEL_BINDINGS, Buffer.alloc(16)],
      [AV.TARGET_NAME, Buffer.from(`cifs/${this.#host}`, 'utf16le')],
    ]
  }
}

type Pair = readonly [id: number, value: Buffer]

function payloadAt(message: Buffer, at: number): Buffer {
  const start = message.readUInt32LE(at + 4)
  return message.subarray(start, start + message.readUInt16LE(at))
}

function pairsOf(bytes: Buffer): Pair[] {
  const pairs: Pair[] = []
  for (let at = 0; ; ) {
    const id = bytes.readUInt16LE(at)
    if (id === AV.EOL) return pairs
    const end = at + 4 + bytes.readUInt16LE(at + 2)
    pairs.push([id, bytes.subarray(at + 4, end)])
    at = end
  }
}

/** A field of a NegTokenResp, by its number. */
function fieldOf(token: Buffer, number: number): Buffer | undefined {
  const sequence = new DerReader(new DerReader(token).expect(contextTag(1)).content).expect(Tag.SEQUENCE)
  const reader = new DerReader(sequence.content)
  while (!reader.atEnd) {
    const field = reader.next()
    if (field.tag === contextTag(number)) return new DerReader(field.content).expect(Tag.OCTET_STRING).content
  }
  return undefined
}
