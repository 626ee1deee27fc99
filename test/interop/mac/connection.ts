/** MS-SMB2 3.2.4.1 and 3.2.5.1 as macOS' smbfs does them: headers, credits, signatures, compounds; what a Mac refuses fails here. */

import { type SigningKey, sign, verify } from '../../../protocols/smb2/crypto/signing.ts'
import { CheckError, expect } from '../report.ts'
import type { MacTransport } from './transport.ts'

export const Smb = {
  NEGOTIATE: 0,
  SESSION_SETUP: 1,
  LOGOFF: 2,
  TREE_CONNECT: 3,
  TREE_DISCONNECT: 4,
  CREATE: 5,
  CLOSE: 6,
  FLUSH: 7,
  READ: 8,
  WRITE: 9,
  LOCK: 10,
  IOCTL: 11,
  CANCEL: 12,
  ECHO: 13,
  QUERY_DIRECTORY: 14,
  CHANGE_NOTIFY: 15,
  QUERY_INFO: 16,
  SET_INFO: 17,
  OPLOCK_BREAK: 18,
} as const

const HEADER_BYTES = 64
const FLAG_ASYNC = 0x2
const FLAG_RELATED = 0x4
const FLAG_SIGNED = 0x8
const PENDING = 0x103
const UNSOLICITED = 0xffff_ffff_ffff_ffffn
/** What every request but NEGOTIATE asks for (kCREDIT_REQUEST_AMT). */
const CREDITS_ASKED = 256
/** "Other commands", in bytes for one credit. */
const CREDIT_BYTES = 65_536
/** LEASING negotiated: a request that is not answered for so long is given up (macos.md 1). */
const TIMEOUT_MILLISECONDS = 45_000

/** One command of a frame; the second and later ones are related to the one before. */
export interface MacRequest {
  readonly command: number
  readonly body: Buffer
  /** Larger of what is sent and what may come, in bytes; for READ, WRITE, IOCTL, QUERY_*. */
  readonly payloadBytes?: number
  /** Signed even when the session does not require it. */
  readonly signed?: boolean
}

export interface MacAnswer {
  readonly command: number
  readonly status: number
  /** Granted. */
  readonly credits: number
  readonly treeId: number
  readonly sessionId: bigint
  readonly signed: boolean
  /** An interim response came before it. */
  readonly wentAsync: boolean
  readonly body: Buffer
  /** With its header: offsets count from its start. */
  readonly message: Buffer
}

/** A lease break: MessageId of ones, TreeId 0. */
export interface MacBreak {
  readonly leaseKey: Buffer
  readonly current: number
  readonly next: number
  readonly acknowledge: boolean
}

interface Waiting {
  readonly command: number
  readonly resolve: (answer: MacAnswer) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
  asyncId: bigint | undefined
}

/** The link of a Mac is gone while it waited. */
export class LinkLost extends CheckError {}

export class MacConnection {
  readonly transport: MacTransport
  sessionId = 0n
  treeId = 0
  signingKey: SigningKey | undefined
  /** The server or the share wants all signed. */
  signsAll = false
  /** Granted less used, and the most there were. */
  credits = 1
  mostCredits = 1
  messageId = 0n
  lastSent: Buffer = Buffer.alloc(0)
  readonly breaks: MacBreak[] = []
  /** Of breaks that want an answer. Default: none is given. */
  onBreak: (notified: MacBreak) => void = () => undefined
  /** The first thing that a Mac would have ended the connection for. */
  violation: string | undefined
  ended: string | undefined
  readonly #waiting = new Map<bigint, Waiting>()
  readonly #timeout: number

  constructor(transport: MacTransport, timeoutMilliseconds = TIMEOUT_MILLISECONDS) {
    this.transport = transport
    this.#timeout = timeoutMilliseconds
    transport.onFrame = (frame) => this.#take(frame)
    transport.onEnd = (reason) => this.#end(reason)
  }

  /** Sends a frame that is no SMB 2 message, and gives what comes next. */
  exchangeRaw(frame: Buffer): Promise<MacAnswer> {
    const answer = this.#wait(0n, Smb.NEGOTIATE)
    this.messageId = 1n
    this.transport.send(frame)
    return answer
  }

  /** One request. @throws LinkLost, CheckError when no valid answer comes */
  async request(request: MacRequest): Promise<MacAnswer> {
    const [answer] = await this.compound([request])
    if (answer === undefined) throw new CheckError('no answer')
    return answer
  }

  /** Requests in one frame, those after the first related to it. @returns the final answers. @throws as `request` */
  compound(requests: readonly MacRequest[]): Promise<MacAnswer[]> {
    if (this.ended !== undefined) return Promise.reject(new LinkLost(this.ended))
    const answers: Promise<MacAnswer>[] = []
    const members = requests.map((request, index) => {
      const isLast = index === requests.length - 1
      answers.push(this.#wait(this.messageId, request.command))
      return this.#encode(request, index > 0, isLast)
    })
    const frame = Buffer.concat(members)
    this.lastSent = frame
    this.transport.send(frame)
    return Promise.all(answers)
  }

  #encode(
    { command, body, payloadBytes = 0, signed = false }: MacRequest,
    related: boolean,
    isLast: boolean,
  ): Buffer {
    const charge = command === Smb.NEGOTIATE ? 0 : Math.max(1, Math.ceil(payloadBytes / CREDIT_BYTES))
    const padding = isLast ? 0 : -(HEADER_BYTES + body.length) & 7
    const member = Buffer.alloc(HEADER_BYTES + body.length + padding)
    body.copy(member, HEADER_BYTES)
    const signs = this.signingKey !== undefined && (signed || this.signsAll)
    member.writeUInt32BE(0xfe53_4d42, 0)
    member.writeUInt16LE(HEADER_BYTES, 4)
    member.writeUInt16LE(charge, 6)
    member.writeUInt16LE(command, 12)
    member.writeUInt16LE(command === Smb.NEGOTIATE ? 0 : CREDITS_ASKED, 14)
    member.writeUInt32LE((related ? FLAG_RELATED : 0) | (signs ? FLAG_SIGNED : 0), 16)
    member.writeUInt32LE(isLast ? 0 : member.length, 20)
    member.writeBigUInt64LE(this.messageId, 24)
    // Process id, as smbfs fills it in.
    member.writeUInt32LE(0xfeff, 32)
    member.writeUInt32LE(this.treeId, 36)
    member.writeBigUInt64LE(this.sessionId, 40)
    this.messageId += BigInt(Math.max(1, charge))
    this.credits -= charge
    if (signs && this.signingKey !== undefined) sign(this.signingKey, [member])
    return member
  }

  #wait(messageId: bigint, command: number): Promise<MacAnswer> {
    const answer = new Promise<MacAnswer>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new CheckError(`command ${command} was not answered for ${this.#timeout} ms`)),
        this.#timeout,
      )
      this.#waiting.set(messageId, { command, resolve, reject, timer, asyncId: undefined })
    })
    // Whoever does not look at it does not end the process.
    answer.catch(() => undefined)
    return answer
  }

  #take(frame: Buffer): void {
    try {
      for (let at = 0, next = 1; next > 0; at += next) {
        expect(frame.length - at >= HEADER_BYTES, `a message of ${frame.length - at} bytes`)
        expect(
          frame.readUInt32BE(at) === 0xfe53_4d42,
          `a protocol id of ${frame.toString('hex', at, at + 4)}`,
        )
        next = frame.readUInt32LE(at + 20)
        expect((next & 7) === 0, `NextCommand ${next} is not aligned`)
        this.#takeMessage(frame.subarray(at, next === 0 ? frame.length : at + next))
      }
    } catch (error) {
      this.violation ??= String(error instanceof Error ? error.message : error)
      this.transport.destroy()
      this.#end(this.violation)
    }
  }

  #takeMessage(message: Buffer): void {
    const messageId = message.readBigUInt64LE(24)
    const flags = message.readUInt32LE(16)
    const status = message.readUInt32LE(8)
    const command = message.readUInt16LE(12)
    if (messageId === UNSOLICITED) {
      this.#takeBreak(message)
      return
    }
    const waiting = this.#waiting.get(messageId)
    expect(waiting !== undefined, `an answer to message ${messageId}, which is not waited for`)
    expect(waiting.command === command, `command ${command} answers a ${waiting.command}`)
    const credits = message.readUInt16LE(14)
    this.credits += credits
    this.mostCredits = Math.max(this.mostCredits, this.credits)
    const isAsync = (flags & FLAG_ASYNC) !== 0
    if (status === PENDING) {
      expect(isAsync, 'an interim response without the asynchronous flag')
      waiting.asyncId = message.readBigUInt64LE(32)
      waiting.timer.refresh()
      return
    }
    const wentAsync = waiting.asyncId !== undefined
    if (wentAsync) {
      // smb_iod: otherwise EBADRPC (macos.md 9).
      const same = isAsync && message.readBigUInt64LE(32) === waiting.asyncId
      expect(same, `the final answer to command ${command} has another AsyncId than the interim one`)
    }
    const signed = (flags & FLAG_SIGNED) !== 0
    if (this.signingKey !== undefined && this.signsAll) {
      expect(
        signed || status === SESSION_GONE || status === SESSION_EXPIRED,
        `the answer to command ${command} is not signed`,
      )
    }
    // Of a session that is gone the server has no key any more.
    if (signed && this.signingKey !== undefined && status !== SESSION_GONE) {
      expect(verify(this.signingKey, [message]), `the signature of the answer to command ${command} is wrong`)
    }
    this.#waiting.delete(messageId)
    clearTimeout(waiting.timer)
    const treeId = isAsync ? 0 : message.readUInt32LE(36)
    const sessionId = message.readBigUInt64LE(40)
    const body = message.subarray(HEADER_BYTES)
    waiting.resolve({ command, status, credits, treeId, sessionId, signed, wentAsync, body, message })
  }

  /** smb2_smb_parse_lease_break: MessageId of ones and TreeId 0, else it is dropped (macos.md 6). */
  #takeBreak(message: Buffer): void {
    expect(message.readUInt16LE(12) === Smb.OPLOCK_BREAK, 'an unsolicited message that is no break')
    expect(message.readUInt32LE(36) === 0, 'a lease break with a TreeId')
    expect(message.readBigUInt64LE(40) === 0n, 'a lease break with a SessionId')
    const body = message.subarray(HEADER_BYTES)
    expect(body.readUInt16LE(0) === 44, 'an oplock was broken; the Mac has leases only')
    const notified = {
      leaseKey: Buffer.from(body.subarray(8, 24)),
      current: body.readUInt32LE(24),
      next: body.readUInt32LE(28),
      acknowledge: (body.readUInt32LE(4) & 1) !== 0,
    }
    this.breaks.push(notified)
    if (notified.acknowledge) this.onBreak(notified)
  }

  #end(reason: string): void {
    this.ended ??= reason
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer)
      reject(this.violation === undefined ? new LinkLost(this.ended) : new CheckError(this.violation))
    }
    this.#waiting.clear()
  }
}

const SESSION_GONE = 0xc000_0203
const SESSION_EXPIRED = 0xc000_035c
