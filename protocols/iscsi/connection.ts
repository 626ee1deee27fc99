/** RFC 7143 6.3 and 8.1: one connection, from its login to its end. */

import type { ConnectionEngine, Effect, Frame, FrameFormat, Peer } from '../transport/engine.ts'
import { DecodeError } from '../wire/errors.ts'
import { type Agreement, Login, type LoginHost, type LoginReply } from './login/login.ts'
import {
  DEFAULT_SEGMENT_BYTES,
  OUR_SEGMENT_BYTES,
  ofFurtherConnection,
  type Parameters,
} from './login/parameters.ts'
import { decodeLoginRequest, encodeLoginResponse, type LoginRequest, LoginStatus } from './pdu/login.ts'
import {
  BHS_BYTES,
  bytesBehind,
  DIGEST_BYTES,
  type Digests,
  dataSegmentLength,
  MAXIMUM_AHS_BYTES,
  NO_DIGESTS,
  Opcode,
  type ReceivedPdu,
  splitPdu,
} from './pdu/segments.ts'
import { encodeTextKeys } from './pdu/text-keys.ts'
import { CommandWindow } from './session/command-window.ts'
import { FullFeature } from './session/full-feature.ts'
import { Sender } from './session/sender.ts'
import { type IscsiServer, PORTAL_GROUP_TAG } from './session/server.ts'
import { findSession, Session, sessionOfPort } from './session/session.ts'
import type { SessionConnection } from './session/session-connection.ts'

const VERSION = 0
/** Any but 0: nobody can come back to a discovery session. */
const DISCOVERY_TSIH = 1
const MAXIMUM_PAYLOAD_BYTES = MAXIMUM_AHS_BYTES + OUR_SEGMENT_BYTES + 2 * DIGEST_BYTES

/** A session with the connection that has just come into it. */
interface Entered {
  readonly session: Session
  readonly connection: SessionConnection
}

export class IscsiConnection implements ConnectionEngine {
  readonly format: FrameFormat
  readonly #server: IscsiServer
  readonly #peer: Peer
  readonly #sink: (effect: Effect) => void
  readonly #login: Login
  readonly #cancelLoginTimer: () => void
  #sender: Sender | undefined
  #fullFeature: FullFeature | undefined
  /** What the initiator's PDUs have and may have. */
  #digests: Digests = NO_DIGESTS
  #segmentBytes = DEFAULT_SEGMENT_BYTES
  #hasEnded = false
  /** A reply to a login is held back: until it is sent nothing else may come. */
  #isLoginHeld = false

  constructor(server: IscsiServer, peer: Peer, sink: (effect: Effect) => void) {
    this.#server = server
    this.#peer = peer
    this.#sink = sink
    this.#login = new Login(this.#loginHost())
    this.format = this.#frameFormat()
    const { environment, limits } = server
    this.#cancelLoginTimer = environment.after(limits.loginMilliseconds, () =>
      this.#disconnect('no login in time'),
    )
  }

  receive(frame: Frame): void {
    if (this.#hasEnded) return frame.release()
    try {
      const pdu = splitFrame(frame, this.#digests)
      if (this.#fullFeature === undefined) this.#receiveLogin(pdu, frame)
      else this.#fullFeature.receive(pdu, () => frame.release())
    } catch (error) {
      if (!(error instanceof DecodeError)) {
        this.#server.log('error', 'an iSCSI PDU failed unexpectedly: this is a bug', { error })
      }
      this.#disconnect(error instanceof Error ? error.message : String(error))
    }
  }

  isIdle(): boolean {
    return this.#fullFeature?.isIdle ?? true
  }

  closed(): void {
    this.ended('the connection was closed')
  }

  /** Nothing arrives or is sent any more. */
  ended(reason: string): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#cancelLoginTimer()
    this.#fullFeature?.close(reason)
  }

  #disconnect(reason: string): void {
    if (this.#hasEnded) return
    this.#server.log('info', 'iSCSI connection closed by the target', {
      peer: this.#peer.remoteAddress,
      reason,
    })
    this.#sink({ kind: 'disconnect', reason })
  }

  #frameFormat(): FrameFormat {
    return {
      headerBytes: BHS_BYTES,
      maximumPayloadBytes: MAXIMUM_PAYLOAD_BYTES,
      deliversHeader: true,
      payloadBytes: (header) => {
        if (dataSegmentLength(header) <= this.#segmentBytes) return bytesBehind(header, this.#digests)
        this.#disconnect(
          `a data segment of ${dataSegmentLength(header)} bytes, which is more than was declared`,
        )
        return undefined
      },
      header: () => undefined,
    }
  }

  #loginHost(): LoginHost {
    const server = this.#server
    return {
      portalGroupTag: PORTAL_GROUP_TAG,
      random: (count) => server.environment.random(count),
      findTarget: (name) => {
        const node = server.targets.get(name)
        if (node === undefined) return undefined
        const { name: targetName, digests, chap } = node
        const admits = (initiatorName: string): boolean => node.admits(initiatorName, this.#peer)
        return { name: targetName, digests, chap, admits }
      },
      findSession: (initiatorName, isid, tsih) => {
        const session = findSession(server, initiatorName, isid, tsih)
        return session && { targetName: session.target.name, admits: (cid) => session.admits(cid) }
      },
    }
  }

  /** The frame is given back in any case. @throws DecodeError when the connection is to be closed */
  #receiveLogin(pdu: ReceivedPdu, frame: Frame): void {
    try {
      this.#takeLogin(pdu)
    } finally {
      frame.release()
    }
  }

  /** @throws DecodeError when it is no login, or comes before the last was answered */
  #takeLogin(pdu: ReceivedPdu): void {
    if (pdu.opcode !== Opcode.loginRequest) throw new DecodeError('a PDU came before the login')
    if (this.#isLoginHeld) throw new DecodeError('a login request came before the last was answered')
    const request = decodeLoginRequest(pdu)
    this.#sender ??= new Sender((effect) => this.#sink(effect), new CommandWindow(request.cmdSN))
    const isBlocked = this.#server.loginThrottle.blocked(this.#peer.remoteAddress)
    const reply = isBlocked ? refusal(LoginStatus.authenticationFailure) : this.#login.take(request, pdu.data)
    if (reply.status !== LoginStatus.success) return this.#refuse(request, reply.status)
    if (reply.agreement === undefined) return this.#reply(request, reply, 0)
    this.#isLoginHeld = true
    void this.#complete(request, reply, reply.agreement)
  }

  #reply(request: LoginRequest, reply: LoginReply, tsih: number): void {
    const sender = this.#sender as Sender
    const isRefused = reply.status !== LoginStatus.success
    sender.send(
      encodeLoginResponse({
        ...sender.nextNumbers(),
        transit: reply.transit,
        continues: false,
        currentStage: request.currentStage,
        nextStage: reply.transit ? request.nextStage : 0,
        versionMax: VERSION,
        versionActive: VERSION,
        isid: request.isid,
        tsih,
        initiatorTaskTag: request.initiatorTaskTag,
        status: reply.status,
      }),
      isRefused ? [] : [encodeTextKeys(reply.keys)],
    )
  }

  /** Who does not know the secret is told so later the more often that happened. */
  #refuse(request: LoginRequest, status: LoginStatus): void {
    const { environment, loginThrottle, log, counters } = this.#server
    const peer = this.#peer.remoteAddress
    const { initiatorName: initiator, targetName: target } = this.#login
    log('warn', 'iSCSI login refused', { peer, initiator, target, status: status.toString(16) })
    const tell = (): void => {
      if (this.#hasEnded) return
      this.#reply(request, refusal(status), 0)
      this.#sink({ kind: 'disconnect', reason: 'login refused' })
    }
    if (status !== LoginStatus.authenticationFailure) return tell()
    counters.failedLogins++
    this.#isLoginHeld = true
    environment.after(loginThrottle.failed(peer), tell)
  }

  async #complete(request: LoginRequest, reply: LoginReply, agreement: Agreement): Promise<void> {
    const entered = agreement.target === undefined ? undefined : await this.#enterSession(agreement)
    if (this.#hasEnded) return
    if (typeof entered === 'number') return this.#refuse(request, entered)
    this.#cancelLoginTimer()
    if (agreement.user !== '') this.#server.loginThrottle.succeeded(this.#peer.remoteAddress)
    const { session, connection = this.#sessionConnection(agreement, agreement.parameters) } = entered ?? {}
    this.#reply(request, reply, session?.tsih ?? DISCOVERY_TSIH)
    const { headerDigest: header, dataDigest: data } = connection.parameters
    this.#digests = { header, data }
    this.#segmentBytes = agreement.segmentBytes
    connection.sender.useDigests(this.#digests)
    const { initiatorName } = agreement
    const context = { initiatorName, connection, target: session?.target }
    this.#fullFeature = new FullFeature(this.#server, context, session)
  }

  #sessionConnection({ cid }: Agreement, parameters: Parameters): SessionConnection {
    return { cid, peer: this.#peer, sender: this.#sender as Sender, parameters }
  }

  /** @returns undefined when this connection has ended meanwhile */
  #enterSession(agreement: Agreement): Promise<Entered | LoginStatus | undefined> {
    return agreement.tsih === 0 ? this.#startSession(agreement) : this.#joinSession(agreement)
  }

  /** 6.3.4 and 6.3.5: one more connection, or one in the place of another, which is logged out with all that it carries. */
  async #joinSession(agreement: Agreement): Promise<Entered | LoginStatus | undefined> {
    const { initiatorName, isid, tsih, cid } = agreement
    const session = findSession(this.#server, initiatorName, isid, tsih)
    if (session === undefined) return LoginStatus.sessionDoesNotExist
    const old = session.connection(cid)
    if (old !== undefined) {
      const left = session.leave(old)
      old.sender.disconnect('the initiator logged in anew')
      await left
    }
    if (session.hasEnded) return LoginStatus.sessionDoesNotExist
    if (this.#hasEnded) {
      if (session.size === 0) void session.end('the connection was closed')
      return undefined
    }
    if (!session.admits(cid)) return LoginStatus.tooManyConnections
    const parameters = ofFurtherConnection(session.parameters, agreement.parameters)
    const connection = this.#sessionConnection(agreement, parameters)
    session.add(connection)
    return { session, connection }
  }

  /** 6.3.5: a session of the same initiator port ends first, and with it all that it does. */
  async #startSession(agreement: Agreement): Promise<Entered | LoginStatus | undefined> {
    const server = this.#server
    const target = server.targets.get(agreement.target?.name.toLowerCase() ?? '')
    if (target === undefined) return LoginStatus.notFound
    const old = (): Session | undefined =>
      sessionOfPort(server, target, agreement.initiatorName, agreement.isid)
    for (let earlier = old(); earlier !== undefined; earlier = old()) {
      await earlier.end('the initiator logged in anew')
    }
    if (this.#hasEnded) return undefined
    if (server.targets.get(target.name.toLowerCase()) !== target) return LoginStatus.notFound
    if (server.sessions.size >= server.limits.sessions) return LoginStatus.outOfResources
    const connection = this.#sessionConnection(agreement, agreement.parameters)
    const session = new Session(server, agreement, target, connection)
    server.log('info', 'iSCSI session began', session.names())
    return { session, connection }
  }
}

/** @throws DecodeError, and the frame is given back then */
function splitFrame(frame: Frame, digests: Digests): ReceivedPdu {
  try {
    return splitPdu(frame.bytes, digests)
  } catch (error) {
    frame.release()
    throw error
  }
}

function refusal(status: LoginStatus): LoginReply {
  return { status, transit: false, keys: [] }
}
