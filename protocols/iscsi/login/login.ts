/** RFC 7143 6.3: one connection's login phase, stage by stage; knows no connection and no clock. */

import type { ChapCredentials } from '../../auth/chap.ts'
import { DecodeError } from '../../wire/errors.ts'
import { type LoginRequest, LoginStatus, Stage } from '../pdu/login.ts'
import { decodeTextKeys, type TextKey } from '../pdu/text-keys.ts'
import { ChapExchange } from './chap-exchange.ts'
import {
  DEFAULT_SEGMENT_BYTES,
  type DigestPolicies,
  defaultParameters,
  isLeadingOnly,
  negotiate,
  OUR_SEGMENT_BYTES,
  type Parameters,
  REJECT,
} from './parameters.ts'

/** What a login must know of a target. */
export interface LoginTarget {
  readonly name: string
  readonly digests: DigestPolicies
  /** undefined: whoever is admitted is let in. */
  readonly chap: ChapCredentials | undefined
  /** @param initiatorName in lower case */
  admits(initiatorName: string): boolean
}

export interface LoginHost {
  readonly portalGroupTag: number
  /** @param name in lower case */
  findTarget(name: string): LoginTarget | undefined
  random(count: number): Buffer
  /** @returns undefined when there is no such session */
  findSession(initiatorName: string, isid: Buffer, tsih: number): LoginSession | undefined
}

/** What a login must know of a session that it is to join. */
export interface LoginSession {
  readonly targetName: string
  /** Whether one more connection, or one that takes another's place, may be in it. */
  admits(cid: number): boolean
}

/** What was agreed upon when a login is complete. */
export interface Agreement {
  readonly initiatorName: string
  /** undefined: a discovery session. */
  readonly target: LoginTarget | undefined
  readonly isid: Buffer
  /** 0: a new session; another: a further connection of that one. */
  readonly tsih: number
  readonly cid: number
  /** CHAP's; '' without. */
  readonly user: string
  readonly parameters: Parameters
  /** Bytes of a data segment that we take. */
  readonly segmentBytes: number
}

export interface LoginReply {
  readonly status: LoginStatus
  readonly transit: boolean
  readonly keys: readonly TextKey[]
  /** Present with the reply that ends the phase. */
  readonly agreement?: Agreement
}

/** All texts of a login together. */
const MAXIMUM_TEXT_BYTES = 16 * 1024
/** More exchanges than any initiator needs. */
const MAXIMUM_REQUESTS = 64
const DISCOVERY = 'Discovery'
const NO_DIGEST_POLICY: DigestPolicies = { header: 'optional', data: 'optional' }
/** Keys that say who the initiator is and what it wants: they are looked at before all others. */
const DECLARATIONS = new Set(['InitiatorName', 'InitiatorAlias', 'TargetName', 'SessionType'])

export class Login {
  readonly #host: LoginHost
  readonly #parameters = defaultParameters()
  #first: LoginRequest | undefined
  #requests = 0
  #stage: number = Stage.security
  #text: Buffer[] = []
  #textBytes = 0
  readonly #seen = new Set<string>()
  #initiatorName: string | undefined
  #target: LoginTarget | undefined
  #chap: ChapExchange | undefined
  #authenticated = false
  #declared = false

  constructor(host: LoginHost) {
    this.#host = host
  }

  /** As far as it has said; for the log. */
  get initiatorName(): string | undefined {
    return this.#initiatorName
  }

  get targetName(): string | undefined {
    return this.#target?.name
  }

  /** @param text the data segment; it is not kept */
  take(request: LoginRequest, text: Buffer): LoginReply {
    const wrong = this.#check(request)
    if (wrong !== undefined) return failure(wrong)
    this.#textBytes += text.length
    if (this.#textBytes > MAXIMUM_TEXT_BYTES) return failure(LoginStatus.initiatorError)
    this.#text.push(Buffer.from(text))
    if (request.continues) return { status: LoginStatus.success, transit: false, keys: [] }
    try {
      const pairs = decodeTextKeys(Buffer.concat(this.#text))
      this.#text = []
      return this.#answer(request, pairs)
    } catch (error) {
      if (error instanceof DecodeError) return failure(LoginStatus.initiatorError)
      throw error
    }
  }

  /** The header alone. @returns undefined when it is right */
  #check(request: LoginRequest): LoginStatus | undefined {
    if (request.versionMin > 0) return LoginStatus.unsupportedVersion
    if (++this.#requests > MAXIMUM_REQUESTS) return LoginStatus.initiatorError
    const { transit, continues, currentStage, nextStage } = request
    if (this.#first === undefined) {
      this.#first = request
      this.#stage = currentStage
    }
    const { isid, tsih, cid } = this.#first
    const isSame = request.isid.equals(isid) && request.tsih === tsih && request.cid === cid
    const isStage = currentStage === Stage.security || currentStage === Stage.operational
    const isNext =
      nextStage > currentStage && (nextStage === Stage.operational || nextStage === Stage.fullFeature)
    if (!isSame || !isStage || currentStage !== this.#stage) return LoginStatus.invalidDuringLogin
    return transit && (continues || !isNext) ? LoginStatus.initiatorError : undefined
  }

  #answer(request: LoginRequest, pairs: readonly TextKey[]): LoginReply {
    for (const [key] of pairs) {
      if (this.#seen.has(key)) return failure(LoginStatus.initiatorError)
      this.#seen.add(key)
    }
    const keys = new Map(pairs)
    const answers: TextKey[] = []
    if (this.#initiatorName === undefined) {
      const refused = this.#introduce(request, keys)
      if (refused !== undefined) return failure(refused)
      if (this.#target !== undefined)
        answers.push(['TargetPortalGroupTag', String(this.#host.portalGroupTag)])
    }
    const security = this.#secure(keys)
    if (security === undefined) return failure(LoginStatus.authenticationFailure)
    answers.push(...security, ...this.#negotiate(pairs))
    if (this.#stage === Stage.operational && !this.#declared) {
      this.#declared = true
      answers.push(['MaxRecvDataSegmentLength', String(OUR_SEGMENT_BYTES)])
    }
    return this.#proceed(request, answers)
  }

  /** 6.3.1: who logs in to what. @returns undefined when that may be */
  #introduce(request: LoginRequest, keys: ReadonlyMap<string, string>): LoginStatus | undefined {
    const initiatorName = keys.get('InitiatorName')?.toLowerCase()
    const sessionType = keys.get('SessionType') ?? 'Normal'
    if (initiatorName === undefined || initiatorName === '') return LoginStatus.missingParameter
    if (sessionType !== DISCOVERY && sessionType !== 'Normal') return LoginStatus.sessionTypeNotSupported
    if (sessionType === 'Normal') {
      const name = keys.get('TargetName')?.toLowerCase()
      if (name === undefined) return LoginStatus.missingParameter
      const target = this.#host.findTarget(name)
      if (target === undefined) return LoginStatus.notFound
      if (!target.admits(initiatorName)) return LoginStatus.authorizationFailure
      this.#target = target
    }
    const refused = request.tsih === 0 ? undefined : this.#join(request, initiatorName)
    if (refused !== undefined) return refused
    this.#initiatorName = initiatorName
    const chap = this.#target?.chap
    this.#authenticated = chap === undefined
    return undefined
  }

  /** 6.3.4, 6.3.5: a further connection of a session. @returns undefined when that may be */
  #join({ isid, tsih, cid }: LoginRequest, initiatorName: string): LoginStatus | undefined {
    const session = this.#host.findSession(initiatorName, isid, tsih)
    if (session === undefined) return LoginStatus.sessionDoesNotExist
    if (session.targetName !== this.#target?.name) return LoginStatus.cannotIncludeInSession
    return session.admits(cid) ? undefined : LoginStatus.tooManyConnections
  }

  /** 12: AuthMethod and what belongs to it. @returns undefined when the initiator is not let in */
  #secure(keys: ReadonlyMap<string, string>): TextKey[] | undefined {
    const answers: TextKey[] = []
    const methods = keys.get('AuthMethod')?.split(',')
    const chap = this.#target?.chap
    if (methods !== undefined) {
      const method = chap === undefined ? 'None' : 'CHAP'
      if (!methods.includes(method) || this.#stage !== Stage.security) return undefined
      answers.push(['AuthMethod', method])
      if (chap !== undefined) this.#chap = new ChapExchange(chap, (count) => this.#host.random(count))
    }
    if (this.#stage !== Stage.security) return this.#authenticated ? answers : undefined
    const step = this.#chap?.take(keys)
    if (step === undefined) return answers
    if (step.result === 'failed') return undefined
    if (step.result === 'succeeded') this.#authenticated = true
    answers.push(...step.answers)
    return answers
  }

  #negotiate(pairs: readonly TextKey[]): TextKey[] {
    const answers: TextKey[] = []
    for (const [key, value] of pairs) {
      if (DECLARATIONS.has(key) || key === 'AuthMethod' || isChapKey(key)) continue
      const comesTooLate = this.#first?.tsih !== 0 && isLeadingOnly(key)
      const answer = comesTooLate
        ? REJECT
        : negotiate(key, value, this.#parameters, this.#target?.digests ?? NO_DIGEST_POLICY)
      if (answer !== undefined) answers.push([key, answer])
    }
    return answers
  }

  /** 6.3.2: the stage that follows, when the initiator wants it and may have it. */
  #proceed(request: LoginRequest, keys: readonly TextKey[]): LoginReply {
    const stay: LoginReply = { status: LoginStatus.success, transit: false, keys }
    if (!request.transit) return stay
    if (!this.#authenticated) {
      // While CHAP goes on, its next step comes first; who does not begin with it is not let in.
      return this.#chap === undefined ? failure(LoginStatus.authenticationFailure) : stay
    }
    this.#stage = request.nextStage
    const go: LoginReply = { ...stay, transit: true }
    if (request.nextStage !== Stage.fullFeature) return go
    return this.#hasRequiredDigests()
      ? { ...go, agreement: this.#agreement(request) }
      : failure(LoginStatus.initiatorError)
  }

  #hasRequiredDigests(): boolean {
    const policies = this.#target?.digests
    const { headerDigest, dataDigest } = this.#parameters
    return (policies?.header !== 'required' || headerDigest) && (policies?.data !== 'required' || dataDigest)
  }

  #agreement(request: LoginRequest): Agreement {
    const parameters = { ...this.#parameters }
    parameters.firstBurstLength = Math.min(parameters.firstBurstLength, parameters.maxBurstLength)
    const chap = this.#target?.chap
    return {
      initiatorName: this.#initiatorName ?? '',
      target: this.#target,
      isid: request.isid,
      tsih: request.tsih,
      cid: request.cid,
      user: chap?.user ?? '',
      parameters,
      segmentBytes: this.#declared ? OUR_SEGMENT_BYTES : DEFAULT_SEGMENT_BYTES,
    }
  }
}

function isChapKey(key: string): boolean {
  return /^CHAP_[AICNR]$/.test(key)
}

function failure(status: LoginStatus): LoginReply {
  return { status, transit: false, keys: [] }
}
