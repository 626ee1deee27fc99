/** RFC 7143 4.3 and 6.5: Text Requests after login: SendTargets and a new MaxRecvDataSegmentLength. */

import { DecodeError } from '../../wire/errors.ts'
import { NOT_UNDERSTOOD, negotiate, REJECT } from '../login/parameters.ts'
import { RejectReason } from '../pdu/reject.ts'
import { type Pdu, RESERVED_TAG } from '../pdu/segments.ts'
import { encodeTextResponse, type TextRequest } from '../pdu/text.ts'
import { decodeTextKeys, encodeTextKeys, type TextKey } from '../pdu/text-keys.ts'
import { type IscsiServer, PORTAL_GROUP_TAG, type TargetNode } from './server.ts'
import type { SessionConnection } from './session-connection.ts'

/** Of one request, put together. */
const MAXIMUM_TEXT_BYTES = 64 * 1024
const ALL_TARGETS = 'All'
/** The one key of login that may be declared again. */
const REDECLARED = 'MaxRecvDataSegmentLength'
const DIGESTS = { header: 'optional', data: 'optional' } as const
/** There is one exchange at a time. */
const TRANSFER_TAG = 1

/** Whose text it is. */
export interface TextContext {
  readonly initiatorName: string
  readonly connection: SessionConnection
  /** undefined in a discovery session. */
  readonly target: TargetNode | undefined
}

export class TextExchange {
  readonly #server: IscsiServer
  readonly #context: TextContext
  #request: Buffer[] = []
  #requestBytes = 0
  /** What of the response has not been sent yet. */
  #rest: Buffer | undefined

  constructor(server: IscsiServer, context: TextContext) {
    this.#server = server
    this.#context = context
  }

  take(request: TextRequest, pdu: Pdu): void {
    const isFirst = request.targetTransferTag === RESERVED_TAG
    if (isFirst) this.#reset()
    if (!isFirst && this.#rest !== undefined && pdu.data.length === 0) return this.#sendNext(request)
    this.#requestBytes += pdu.data.length
    if (this.#requestBytes > MAXIMUM_TEXT_BYTES) return this.#refuse(pdu)
    this.#request.push(Buffer.from(pdu.data))
    if (request.continues) return this.#send(request, Buffer.alloc(0), false)
    try {
      const pairs = decodeTextKeys(Buffer.concat(this.#request))
      this.#request = []
      this.#rest = encodeTextKeys(pairs.flatMap(([key, value]) => this.#answer(key, value)))
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      return this.#refuse(pdu)
    }
    this.#sendNext(request)
  }

  #reset(): void {
    this.#request = []
    this.#requestBytes = 0
    this.#rest = undefined
  }

  #refuse(pdu: Pdu): void {
    this.#reset()
    this.#context.connection.sender.reject(RejectReason.protocolError, pdu.bhs)
  }

  /** 11.11: as much as the initiator takes at once; it asks for what follows. */
  #sendNext(request: TextRequest): void {
    const rest = this.#rest ?? Buffer.alloc(0)
    const limit = this.#context.connection.parameters.initiatorMaxRecvDataSegmentLength
    this.#rest = rest.length > limit ? rest.subarray(limit) : undefined
    this.#send(request, rest.subarray(0, limit), this.#rest === undefined)
  }

  #send(request: TextRequest, data: Buffer, isLast: boolean): void {
    const { sender } = this.#context.connection
    const isFinal = isLast && request.final
    if (isFinal) this.#reset()
    sender.send(
      encodeTextResponse({
        ...sender.nextNumbers(),
        final: isFinal,
        continues: !isLast && data.length > 0,
        lun: request.lun,
        initiatorTaskTag: request.initiatorTaskTag,
        targetTransferTag: isFinal ? RESERVED_TAG : TRANSFER_TAG,
      }),
      [data],
    )
  }

  #answer(key: string, value: string): TextKey[] {
    if (key === 'SendTargets') return this.#sendTargets(value)
    if (key === REDECLARED) {
      const refusal = negotiate(key, value, this.#context.connection.parameters, DIGESTS)
      return refusal === undefined ? [] : [[key, refusal]]
    }
    // What belongs to a login is understood, and too late.
    const known =
      negotiate(key, value, { ...this.#context.connection.parameters }, DIGESTS) !== NOT_UNDERSTOOD
    return [[key, known ? REJECT : NOT_UNDERSTOOD]]
  }

  /** Appendix C: the targets that the initiator may log in to, at the address that it has come by. */
  #sendTargets(value: string): TextKey[] {
    const { initiatorName, connection, target } = this.#context
    const wanted = value === '' ? target?.name : value
    const { localAddress, localPort } = connection.peer
    const address = localAddress.includes(':') ? `[${localAddress}]` : localAddress
    const found: TextKey[] = []
    for (const node of this.#server.targets.values()) {
      const isMeant = wanted === ALL_TARGETS || wanted?.toLowerCase() === node.name.toLowerCase()
      if (!isMeant || !node.admits(initiatorName, connection.peer)) continue
      found.push(['TargetName', node.name])
      found.push(['TargetAddress', `${address}:${localPort},${PORTAL_GROUP_TAG}`])
    }
    const isName = wanted !== undefined && /^(?:iqn|eui|naa)\./i.test(wanted)
    return found.length > 0 || wanted === ALL_TARGETS || isName ? found : [['SendTargets', REJECT]]
  }
}
