/** C706 9.3 and MS-RPCE 3.3.1: the server's side of one association, from fragments to fragments. */

import { DecodeError } from '../../wire/errors.ts'
import { Reader } from '../../wire/reader.ts'
import { ContextHandles } from './context-handles.ts'
import type { RpcHost } from './host.ts'
import type { PolicyContext, RpcInterface } from './interface.ts'
import { NdrReader, NdrWriter } from './ndr.ts'
import {
  BIND_TIME_FEATURE_PREFIX,
  type BindAck,
  BindRejectReason,
  type ContextResult,
  ContextResultCode,
  decodeBind,
  decodeHeader,
  decodeRequest,
  encodeBindAck,
  encodeBindNak,
  encodeFault,
  encodeResponse,
  MINIMUM_FRAGMENT_BYTES,
  NDR_SYNTAX,
  PduFlag,
  type PduHeader,
  PduType,
  type PresentationContext,
  ProviderReason,
} from './pdu.ts'
import { FaultStatus, RpcFault } from './status.ts'

/** What Windows and Samba offer over named pipes. */
const PREFERRED_FRAGMENT_BYTES = 4280
/** Parameters of one call, all fragments together. */
const MAXIMUM_REQUEST_BYTES = 1_048_576
const MAXIMUM_CONTEXTS = 32
/** Nothing is kept beyond an association, so that all may be in one group. */
const ASSOC_GROUP_ID = 0x53f0

/** What comes back for a fragment. */
export interface Answer {
  /** Fragments to send, in order. */
  readonly fragments: readonly Buffer[]
  /** The protocol was violated: nothing more is taken from this client. */
  readonly broken?: true
}

interface Call {
  readonly callId: number
  readonly contextId: number
  readonly opnum: number
  readonly parts: Buffer[]
  bytes: number
}

const NOTHING: Answer = { fragments: [] }

export class RpcAssociation {
  readonly #secondaryAddress: string
  readonly #interfaces: readonly RpcInterface[]
  readonly #host: RpcHost
  readonly #contexts = new Map<number, RpcInterface>()
  readonly #handles = new ContextHandles<PolicyContext>()
  #bound = false
  #transmitBytes = PREFERRED_FRAGMENT_BYTES
  #receiveBytes = PREFERRED_FRAGMENT_BYTES
  #call: Call | undefined

  constructor(secondaryAddress: string, served: readonly RpcInterface[], host: RpcHost) {
    this.#secondaryAddress = secondaryAddress
    this.#interfaces = served
    this.#host = host
  }

  /** Takes one whole fragment. Never throws for what a client sent. */
  receive(fragment: Buffer): Answer {
    try {
      const reader = new Reader(fragment)
      const header = decodeHeader(reader)
      return this.#dispatch(header, reader)
    } catch (error) {
      if (error instanceof DecodeError) return { fragments: [], broken: true }
      throw error
    }
  }

  #dispatch(header: PduHeader, reader: Reader): Answer {
    switch (header.type) {
      case PduType.BIND:
      case PduType.ALTER_CONTEXT:
        return this.#bind(header, reader)
      case PduType.REQUEST:
        return this.#request(header, reader)
      case PduType.CO_CANCEL:
      case PduType.AUTH3:
        return NOTHING
      case PduType.ORPHANED:
        if (this.#call?.callId === header.callId) this.#call = undefined
        return NOTHING
      default:
        return this.#protocolError(header, 0)
    }
  }

  #bind(header: PduHeader, reader: Reader): Answer {
    const first = header.type === PduType.BIND
    if (first === this.#bound) return this.#protocolError(header, 0)
    // The identity of the SMB session is what counts; security of the RPC layer is not offered.
    if (header.authLength !== 0) {
      if (!first) return this.#protocolError(header, 0)
      return {
        fragments: [encodeBindNak(header.callId, BindRejectReason.AUTHENTICATION_TYPE_NOT_RECOGNIZED)],
      }
    }
    const bind = decodeBind(reader)
    if (first) {
      this.#bound = true
      this.#transmitBytes = negotiatedFragment(bind.maxReceiveFragment)
      this.#receiveBytes = negotiatedFragment(bind.maxTransmitFragment)
    }
    const ack: BindAck = {
      maxTransmitFragment: this.#transmitBytes,
      maxReceiveFragment: this.#receiveBytes,
      assocGroupId: bind.assocGroupId === 0 ? ASSOC_GROUP_ID : bind.assocGroupId,
      secondaryAddress: first ? this.#secondaryAddress : '',
      results: bind.contexts.map((context) => this.#negotiate(context)),
    }
    const type = first ? PduType.BIND_ACK : PduType.ALTER_CONTEXT_RESPONSE
    return { fragments: [encodeBindAck(type, header.callId, ack)] }
  }

  #negotiate(context: PresentationContext): ContextResult {
    if (context.transferSyntaxes.some(({ uuid }) => uuid.startsWith(BIND_TIME_FEATURE_PREFIX))) {
      // None of the optional features: neither multiplexed security contexts nor orphaned connections are kept.
      return { result: ContextResultCode.NEGOTIATE_ACK, reason: 0 }
    }
    const reject = (reason: number): ContextResult => ({
      result: ContextResultCode.PROVIDER_REJECTION,
      reason,
    })
    const { uuid, majorVersion, minorVersion } = context.abstractSyntax
    const served = this.#interfaces.find(
      (each) => uuid === each.uuid && majorVersion === each.majorVersion && minorVersion <= each.minorVersion,
    )
    if (served === undefined) return reject(ProviderReason.ABSTRACT_SYNTAX_NOT_SUPPORTED)
    const ndr = context.transferSyntaxes.some(
      (syntax) => syntax.uuid === NDR_SYNTAX.uuid && syntax.majorVersion === NDR_SYNTAX.majorVersion,
    )
    if (!ndr) return reject(ProviderReason.TRANSFER_SYNTAXES_NOT_SUPPORTED)
    if (this.#contexts.size >= MAXIMUM_CONTEXTS && !this.#contexts.has(context.contextId)) {
      return reject(ProviderReason.NOT_SPECIFIED)
    }
    this.#contexts.set(context.contextId, served)
    return { result: ContextResultCode.ACCEPTANCE, reason: 0, transferSyntax: NDR_SYNTAX }
  }

  #request(header: PduHeader, reader: Reader): Answer {
    const { contextId, opnum, stub } = decodeRequest(reader, header)
    if (!this.#bound || header.authLength !== 0) return this.#protocolError(header, contextId)
    const first = (header.flags & PduFlag.FIRST_FRAGMENT) !== 0
    if (first === (this.#call !== undefined)) return this.#protocolError(header, contextId)
    const call = this.#call ?? { callId: header.callId, contextId, opnum, parts: [], bytes: 0 }
    if (call.callId !== header.callId || call.contextId !== contextId) {
      return this.#protocolError(header, contextId)
    }
    call.bytes += stub.length
    if (call.bytes > MAXIMUM_REQUEST_BYTES) return this.#protocolError(header, contextId)
    if ((header.flags & PduFlag.LAST_FRAGMENT) === 0) {
      call.parts.push(Buffer.from(stub))
      this.#call = call
      return NOTHING
    }
    this.#call = undefined
    return { fragments: this.#run(call, Buffer.concat([...call.parts, stub])) }
  }

  #run(call: Call, stub: Buffer): Buffer[] {
    const fault = (status: number): Buffer[] => [encodeFault(call.callId, call.contextId, status, false)]
    const served = this.#contexts.get(call.contextId)
    if (served === undefined) return fault(FaultStatus.UNKNOWN_INTERFACE)
    const operation = served.operations.get(call.opnum)
    if (operation === undefined) return fault(FaultStatus.OPERATION_RANGE)
    const output = new NdrWriter()
    try {
      operation(new NdrReader(stub), output, this.#host, this.#handles)
    } catch (error) {
      if (error instanceof DecodeError) return fault(FaultStatus.BAD_STUB_DATA)
      if (error instanceof RpcFault) return fault(error.status)
      throw error
    }
    return encodeResponse(call.callId, call.contextId, output.finish(), this.#transmitBytes)
  }

  #protocolError(header: PduHeader, contextId: number): Answer {
    this.#call = undefined
    const fault = encodeFault(header.callId, contextId, FaultStatus.PROTOCOL_ERROR, false)
    return { fragments: [fault], broken: true }
  }
}

/** 12.6.3.3: the smaller of both sides' sizes, and never below what everyone must take. */
function negotiatedFragment(theirs: number): number {
  return Math.max(MINIMUM_FRAGMENT_BYTES, Math.min(theirs, PREFERRED_FRAGMENT_BYTES))
}
