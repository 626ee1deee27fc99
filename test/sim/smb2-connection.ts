/** MS-SMB2 3.2: a client's end of one connection: framing, signing, encryption, message ids; it keeps all that comes back. */

import { type Cipher, SigningAlgorithm } from '../../protocols/smb2/crypto/algorithms.ts'
import { decrypt, encrypt } from '../../protocols/smb2/crypto/encryption.ts'
import { INITIAL_PREAUTH_HASH } from '../../protocols/smb2/crypto/preauth.ts'
import { sign, verify } from '../../protocols/smb2/crypto/signing.ts'
import { Command } from '../../protocols/smb2/messages/commands.ts'
import { Dialect } from '../../protocols/smb2/messages/dialects.ts'
import {
  decodeHeader,
  encodeHeader,
  HEADER_BYTES,
  type Header,
  HeaderFlag,
  ProtocolId,
  UNSOLICITED_MESSAGE_ID,
} from '../../protocols/smb2/messages/header.ts'
import type { NegotiateRequest, NegotiateResponse } from '../../protocols/smb2/messages/negotiate.ts'
import {
  decodeTransformHeader,
  encodeTransformHeader,
  TRANSFORM_FLAG_ENCRYPTED,
  TRANSFORM_HEADER_BYTES,
  TRANSFORM_NONCE_BYTES,
} from '../../protocols/smb2/messages/transform-header.ts'
import { Status } from '../../protocols/smb2/status.ts'
import type { ConnectionEngine, Effect } from '../../protocols/transport/engine.ts'
import { Reader } from '../../protocols/wire/reader.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import type { SimServer } from './sim-server.ts'
import type { SimSession } from './smb2-session.ts'

const CREDITS_WANTED = 64
const ALIGNMENT_BYTES = 8
const NEXT_COMMAND_OFFSET = 20
const PORT = 445
/** What a frame's memory holds after it was given back: whoever still uses it, sees this. */
const POISON = 0xdd

/** A request's command and body; several make a compound. What is left out is as the connection has it. */
export interface SimRequest {
  readonly command: number
  readonly write: (writer: Writer) => void
  /** Takes session, tree and open of the one before it in its compound. */
  readonly related?: boolean
  readonly creditCharge?: number
  readonly credits?: number
  readonly messageId?: bigint
  readonly treeId?: number
  readonly sessionId?: bigint
  /** More bits of HeaderFlag. */
  readonly flags?: number
  /** 'badly': with a signature that is not the message's. */
  readonly signed?: boolean | 'badly'
  /** NextCommand, in place of the right one. */
  readonly nextCommand?: number
}

export interface SimAnswer {
  readonly header: Header
  readonly status: number
  /** At the body. */
  readonly body: Reader
  /** 'unknown': of a session that the client has no key of. */
  readonly signature: 'none' | 'valid' | 'invalid' | 'unknown'
  readonly encrypted: boolean
  /** The whole message, with its padding. */
  readonly message: Buffer
}

export interface SendOptions {
  /** In a TRANSFORM_HEADER; default: as session and share want it. */
  readonly encrypted?: boolean
  /** Changes the frame before it is encrypted. */
  readonly mutate?: (plain: Buffer) => Buffer
  /** Changes the frame as it goes out. */
  readonly tamper?: (frame: Buffer) => Buffer
}

type Waiting = (answer: SimAnswer) => void

export class SimConnection {
  /** Every message that came, in order, interim responses and notifications too. */
  readonly messages: SimAnswer[] = []
  /** Answers of each frame that came: 2 is a compound of two. */
  readonly frames: number[] = []
  /** Why the server has hung up. */
  disconnectReason: string | undefined
  /** Reading is switched off: the server has enough to do. */
  paused = false
  /** Sum of what the server granted, less what was used. */
  credits = 1
  negotiateRequest: NegotiateRequest | undefined
  /** Once NEGOTIATE was answered. */
  negotiated: NegotiateResponse | undefined
  signingAlgorithm: SigningAlgorithm = SigningAlgorithm.hmacSha256
  cipher: Cipher | 0 = 0
  preauthHash: Buffer = INITIAL_PREAUTH_HASH
  /** The newest frame before encryption, and the newest message that came. */
  lastSent: Buffer = Buffer.alloc(0)
  lastReceived: Buffer = Buffer.alloc(0)
  readonly sessions = new Map<bigint, SimSession>()
  /** What requests are sent with when they do not say otherwise. */
  session: SimSession | undefined
  treeId = 0
  /** The share of `treeId` wants encryption. */
  treeEncrypts = false
  /** Signs every request of a session that has a key. */
  signs = false
  messageId = 0n
  readonly sim: SimServer
  readonly #engine: ConnectionEngine
  readonly #waiting = new Map<bigint, Waiting>()
  #nonce = 0n

  /** @throws Error when the engine lets no one in from that address */
  constructor(sim: SimServer, address = 'client') {
    this.sim = sim
    const peer = { remoteAddress: address, remotePort: PORT, localAddress: 'server', localPort: PORT }
    const connection = sim.engine.connect(peer, (effect) => this.#take(effect))
    if (connection === undefined) throw new Error('the engine refused the connection')
    this.#engine = connection
  }

  get disconnected(): boolean {
    return this.disconnectReason !== undefined
  }

  get dialect(): number {
    return this.negotiated?.dialectRevision ?? 0
  }

  /** MessageId of the next request. */
  get nextMessageId(): bigint {
    return this.messageId
  }

  /** Sends one request. @returns its final answer */
  async request(request: SimRequest, options?: SendOptions): Promise<SimAnswer> {
    const [answer] = await Promise.all(this.send([request], options))
    return answer as SimAnswer
  }

  /** Sends requests in one frame. @returns their final answers, each when it comes; never for some */
  send(requests: readonly SimRequest[], options: SendOptions = {}): Promise<SimAnswer>[] {
    const members: Buffer[] = []
    const answers = requests.map((request, index) => {
      const header = this.#headerOf(request)
      members.push(this.#encodeMember(header, request, index === requests.length - 1))
      return new Promise<SimAnswer>((resolve) => this.#waiting.set(header.messageId, resolve))
    })
    const joined = Buffer.concat(members)
    const plain = options.mutate === undefined ? joined : options.mutate(joined)
    this.lastSent = plain
    const encrypted = options.encrypted ?? (this.session?.encrypts === true || this.treeEncrypts)
    const frame = encrypted ? this.#encrypt(plain) : plain
    this.sendRaw(options.tamper === undefined ? frame : options.tamper(frame))
    return answers
  }

  /** Hands the engine a frame as it is; its memory is of no use after it was given back. */
  sendRaw(frame: Buffer): void {
    const bytes = Buffer.from(frame)
    const { leases } = this.sim
    leases.frames++
    let released = false
    const release = () => {
      if (released) throw new Error('a frame was given back twice')
      released = true
      leases.frames--
      bytes.fill(POISON)
    }
    this.#engine.receive({ bytes, release })
  }

  /** Gives a request up that may be pending, by its MessageId, or by its AsyncId. */
  cancel(messageId: bigint, asyncId?: bigint, signed?: boolean | 'badly'): void {
    const flags = asyncId === undefined ? 0 : HeaderFlag.ASYNC_COMMAND
    const header = {
      ...this.#headerFields({ command: Command.CANCEL, write: () => undefined }),
      flags,
      messageId,
    }
    const request = {
      command: Command.CANCEL,
      write: (writer: Writer) => writer.u16(4).u16(0),
      ...(signed === undefined ? {} : { signed }),
    }
    const member = this.#encodeMember({ ...header, asyncId: asyncId ?? 0n }, request, true)
    this.sendRaw(this.session?.encrypts === true || this.treeEncrypts ? this.#encrypt(member) : member)
  }

  /** The connection breaks. */
  drop(): void {
    this.#engine.closed()
  }

  /** An answer that came before its key was known, with its signature verified now. */
  reread(answer: SimAnswer): SimAnswer {
    return { ...answer, signature: this.#signatureOf(answer.message, answer.header) }
  }

  /** A message that answers no request. */
  protected notified(_answer: SimAnswer): void {}

  /** Any other message. */
  protected answered(_answer: SimAnswer): void {}

  #headerOf(request: SimRequest): Header {
    const header = this.#headerFields(request)
    const messageId = request.messageId ?? this.messageId
    const used = this.dialect > Dialect.SMB_2_0_2 ? Math.max(1, header.creditCharge) : 1
    if (request.messageId === undefined) this.messageId += BigInt(used)
    this.credits -= used
    return { ...header, messageId }
  }

  #headerFields(request: SimRequest): Header {
    const { command, related } = request
    return {
      ...{ creditCharge: request.creditCharge ?? 1, status: 0, command },
      credits: request.credits ?? CREDITS_WANTED,
      flags: (related === true ? HeaderFlag.RELATED_OPERATIONS : 0) | (request.flags ?? 0),
      ...{ nextCommand: 0, messageId: 0n, asyncId: 0n, treeId: request.treeId ?? this.treeId },
      sessionId: request.sessionId ?? this.session?.id ?? 0n,
    }
  }

  #encodeMember(header: Header, request: SimRequest, isLast: boolean): Buffer {
    const writer = new Writer()
    encodeHeader(writer, header)
    request.write(writer)
    if (!isLast) writer.align(ALIGNMENT_BYTES)
    const member = writer.finish()
    const next = request.nextCommand ?? (isLast ? 0 : member.length)
    member.writeUInt32LE(next, NEXT_COMMAND_OFFSET)
    this.#sign(member, header, request)
    return member
  }

  /** Signed: what must be, and all when the client wants it so. */
  #sign(member: Buffer, header: Header, { command, signed }: SimRequest): void {
    const session = this.sessions.get(header.sessionId)
    if (session?.signingKey === undefined) return
    const is311Tree = command === Command.TREE_CONNECT && this.dialect === Dialect.SMB_3_1_1
    if (!(signed ?? (this.signs || is311Tree))) return
    member.writeUInt32LE(header.flags | HeaderFlag.SIGNED, FLAGS_OFFSET)
    sign(session.signingKey, [member])
    if (signed === 'badly') member[SIGNATURE_OFFSET] = (member[SIGNATURE_OFFSET] ?? 0) ^ 1
  }

  #encrypt(plain: Buffer): Buffer {
    const key = this.session?.keys?.decryptionKey
    if (this.session === undefined || key === undefined || this.cipher === 0)
      throw new Error('no key to encrypt with')
    const nonce = Buffer.alloc(TRANSFORM_NONCE_BYTES)
    nonce.writeBigUInt64LE(++this.#nonce)
    const writer = new Writer()
    encodeTransformHeader(writer, {
      ...{ signature: Buffer.alloc(16), nonce, originalMessageSize: plain.length },
      ...{ flags: TRANSFORM_FLAG_ENCRYPTED, sessionId: this.session.id },
    })
    const header = writer.finish()
    return Buffer.concat([header, ...encrypt(this.cipher, key, header, [plain])])
  }

  #take(effect: Effect): void {
    if (effect.kind === 'disconnect') this.disconnectReason = effect.reason
    if (effect.kind === 'reading') this.paused = !effect.enabled
    if (effect.kind !== 'send') return
    if (this.disconnected) throw new Error('the server sends after it has hung up')
    const frame = Buffer.concat(effect.chunks)
    effect.release?.()
    const isEncrypted = frame.readUInt32LE(0) === ProtocolId.TRANSFORM
    const plain = isEncrypted ? this.#decrypt(frame) : frame
    let count = 0
    for (let at = 0, next = 1; next > 0; at += next) {
      next = plain.readUInt32LE(at + NEXT_COMMAND_OFFSET)
      this.#takeMessage(plain.subarray(at, next === 0 ? plain.length : at + next), isEncrypted)
      count++
    }
    this.frames.push(count)
  }

  #decrypt(frame: Buffer): Buffer {
    const { sessionId } = decodeTransformHeader(new Reader(frame))
    const key = this.sessions.get(sessionId)?.keys?.encryptionKey
    if (key === undefined || this.cipher === 0) throw new Error('an encrypted answer of no known session')
    const body = frame.subarray(TRANSFORM_HEADER_BYTES)
    const plain = decrypt(this.cipher, key, frame.subarray(0, TRANSFORM_HEADER_BYTES), body)
    if (plain === undefined) throw new Error('an encrypted answer does not decrypt')
    return plain
  }

  #takeMessage(message: Buffer, encrypted: boolean): void {
    const body = new Reader(message)
    const header = decodeHeader(body)
    body.seek(HEADER_BYTES)
    const { status } = header
    const answer = { header, status, body, signature: this.#signatureOf(message, header), encrypted, message }
    this.lastReceived = message
    this.messages.push(answer)
    if (header.messageId === UNSOLICITED_MESSAGE_ID) {
      this.notified(answer)
      return
    }
    this.credits += header.credits
    this.answered(answer)
    if (status === Status.PENDING) return
    this.#waiting.get(header.messageId)?.(answer)
    this.#waiting.delete(header.messageId)
  }

  #signatureOf(message: Buffer, { flags, sessionId }: Header): SimAnswer['signature'] {
    if ((flags & HeaderFlag.SIGNED) === 0) return 'none'
    const key = this.sessions.get(sessionId)?.signingKey
    if (key === undefined) return 'unknown'
    return verify(key, [message]) ? 'valid' : 'invalid'
  }
}

const FLAGS_OFFSET = 16
const SIGNATURE_OFFSET = 48
