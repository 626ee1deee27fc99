/** An iSCSI target over a SCSI target that does what a test says, and initiators that speak in PDUs. */

import { IscsiConnection } from '../../../protocols/iscsi/connection.ts'
import { createIscsiEngine } from '../../../protocols/iscsi/engine.ts'
import {
  decodeLoginResponse,
  encodeLoginRequest,
  type LoginResponse,
} from '../../../protocols/iscsi/pdu/login.ts'
import { encodeScsiCommand, type ScsiCommand } from '../../../protocols/iscsi/pdu/scsi-command.ts'
import {
  BHS_BYTES,
  bytesBehind,
  type Digests,
  joinPdu,
  NO_DIGESTS,
  type ReceivedPdu,
  splitPdu,
} from '../../../protocols/iscsi/pdu/segments.ts'
import { decodeTextKeys, encodeTextKeys } from '../../../protocols/iscsi/pdu/text-keys.ts'
import type { Nexus, ScsiTarget, Task, TaskResult } from '../../../protocols/iscsi/scsi/task.ts'
import { DEFAULT_LIMITS, type IscsiServer, type TargetNode } from '../../../protocols/iscsi/session/server.ts'
import type { ConnectionEngine, Effect, Peer } from '../../../protocols/transport/engine.ts'
import { SimEnvironment, settled } from '../../sim/sim-environment.ts'

export const TARGET = 'iqn.2026-11.test:disk'
export const INITIATOR = 'iqn.2026-11.test:host'
export const GOOD: TaskResult = { status: 0, dataIn: [], dataInLength: 0, dataOutLength: 0 }

/** Tells what is done to it, one line each; answers as `answer` says. */
export class FakeScsi implements ScsiTarget {
  readonly story: string[] = []
  readonly tasks: Task[] = []
  answer: (task: Task) => TaskResult | Promise<TaskResult> = () => GOOD
  onAbort: ScsiTarget['onAbort']

  attach(nexus: Nexus): void {
    this.story.push(`attach ${nexus.initiatorPort}`)
  }

  detach(nexus: Nexus): void {
    this.story.push(`detach ${nexus.initiatorPort}`)
  }

  async execute(task: Task): Promise<TaskResult> {
    this.tasks.push(task)
    return this.answer(task)
  }

  resetLogicalUnit(lun: bigint): boolean {
    this.story.push(`reset ${lun}`)
    return lun === 0n
  }

  resetTarget(): void {
    this.story.push('reset all')
  }

  async close(): Promise<void> {}
}

export interface Scene {
  readonly environment: SimEnvironment
  readonly scsi: FakeScsi
  readonly server: IscsiServer
  readonly log: string[]
  connect(peer?: Partial<Peer>): TestInitiator
}

export function scene(node: Partial<TargetNode> = {}): Scene {
  const environment = new SimEnvironment()
  const scsi = new FakeScsi()
  const log: string[] = []
  const target: TargetNode = {
    name: TARGET,
    digests: { header: 'optional', data: 'optional' },
    chap: undefined,
    admits: () => true,
    scsi,
    ...node,
  }
  const server: IscsiServer = {
    targets: new Map([[TARGET, target]]),
    sessions: new Map(),
    limits: DEFAULT_LIMITS,
    environment,
    loginThrottle: { failed: () => 100, succeeded: () => undefined, blocked: () => false },
    log: (level, message) => void log.push(`${level} ${message}`),
    counters: { connections: 0, requests: 0, failedLogins: 0, bytesRead: 0, bytesWritten: 0 },
  }
  const address = { remoteAddress: '192.0.2.7', remotePort: 999, localAddress: '192.0.2.1', localPort: 3260 }
  const connect = (peer: Partial<Peer> = {}): TestInitiator =>
    new TestInitiator(server, { ...address, ...peer })
  return { environment, scsi, server, log, connect }
}

/** How a login request differs from the usual one: from operational stage to the full feature phase. */
export interface LoginOptions {
  readonly current?: number
  readonly next?: number
  readonly transit?: boolean
  readonly continues?: boolean
  readonly tsih?: number
  readonly isid?: string
  readonly cid?: number
  readonly versionMin?: number
}

export const NAMES = { InitiatorName: INITIATOR, TargetName: TARGET, SessionType: 'Normal' }

const FIRST_TAGS = 0x100
let initiators = 0

export class TestInitiator {
  readonly engine: ConnectionEngine
  readonly received: ReceivedPdu[] = []
  /** Frames that the engine has not given back. */
  held = 0
  disconnected: string | undefined
  digests: Digests = NO_DIGESTS
  cmdSN = 1
  readonly #untaken: (() => void)[] = []
  #takes = true
  #next = 0
  /** Connections of one session share the tags. */
  #tag = FIRST_TAGS * ++initiators

  constructor(server: IscsiServer, peer: Peer) {
    const engine = createIscsiEngine(server).connect(peer, (effect) => this.#take(effect))
    if (!(engine instanceof IscsiConnection)) throw new Error('no connection')
    this.engine = engine
  }

  #take(effect: Effect): void {
    if (effect.kind === 'disconnect') this.disconnected = effect.reason
    if (effect.kind !== 'send') return
    for (let bytes = Buffer.concat(effect.chunks); bytes.length > 0; ) {
      const length = BHS_BYTES + bytesBehind(bytes.subarray(0, BHS_BYTES), this.digests)
      this.received.push(splitPdu(bytes.subarray(0, length), this.digests))
      bytes = bytes.subarray(length)
    }
    if (this.#takes) effect.release?.()
    else if (effect.release !== undefined) this.#untaken.push(effect.release)
  }

  /** Whether it reads what it is sent; while it does not, nothing leaves the target's memory. */
  set takes(takes: boolean) {
    this.#takes = takes
    if (takes) for (const release of this.#untaken.splice(0)) release()
  }

  newTag(): number {
    return this.#tag++
  }

  sendRaw(frame: Buffer): void {
    this.held++
    this.engine.receive({ bytes: frame, release: () => void this.held-- })
  }

  send(bhs: Buffer, data: readonly Buffer[] = [], ahs?: Buffer): void {
    this.sendRaw(Buffer.concat(joinPdu(bhs, data, this.digests, ahs)))
  }

  /** What has come since the last call. */
  async answers(): Promise<ReceivedPdu[]> {
    await settled()
    const answers = this.received.slice(this.#next)
    this.#next = this.received.length
    return answers
  }

  /** The one PDU that has come. */
  async answer(): Promise<ReceivedPdu> {
    const answers = await this.answers()
    const [first] = answers
    if (first === undefined || answers.length > 1) throw new Error(`${answers.length} PDUs came`)
    return first
  }

  async login(
    keys: Readonly<Record<string, string>> | Buffer,
    options: LoginOptions = {},
  ): Promise<{ response: LoginResponse; keys: Record<string, string> }> {
    const bhs = encodeLoginRequest({
      transit: options.transit ?? !options.continues,
      continues: options.continues ?? false,
      currentStage: options.current ?? 1,
      nextStage: options.next ?? 3,
      versionMax: 0,
      versionMin: options.versionMin ?? 0,
      isid: Buffer.from(options.isid ?? '400001370000', 'hex'),
      tsih: options.tsih ?? 0,
      initiatorTaskTag: 1,
      cid: options.cid ?? 0,
      cmdSN: this.cmdSN,
      expStatSN: 0,
    })
    this.send(bhs, [keys instanceof Buffer ? keys : encodeTextKeys(Object.entries(keys))])
    const answer = await this.answer()
    return {
      response: decodeLoginResponse(answer),
      keys: Object.fromEntries(decodeTextKeys(answer.data)),
    }
  }

  /** Sends a SCSI command. @returns its Initiator Task Tag */
  command(fields: Partial<ScsiCommand> = {}, data: readonly Buffer[] = []): number {
    const initiatorTaskTag = fields.initiatorTaskTag ?? this.newTag()
    const { bhs, ahs } = encodeScsiCommand({
      ...{ immediate: false, final: true, read: false, write: false, attribute: 1, lun: 0n },
      ...{ expectedDataTransferLength: 0, cdb: Buffer.alloc(16), bidirectionalReadLength: 0 },
      ...{ cmdSN: fields.immediate === true ? this.cmdSN : this.cmdSN++, expStatSN: 0 },
      ...fields,
      initiatorTaskTag,
    })
    this.send(bhs, data, ahs)
    return initiatorTaskTag
  }
}

/** An initiator in the full feature phase. */
export async function loggedIn(
  { connect }: Scene,
  keys: Readonly<Record<string, string>> = {},
  options: LoginOptions = {},
): Promise<TestInitiator> {
  const initiator = connect()
  const { response } = await initiator.login({ ...NAMES, ...keys }, options)
  if (response.status !== 0 || !response.transit) throw new Error(`login: ${response.status.toString(16)}`)
  return initiator
}

/** Answers come when the test says. */
export function byHand({ scsi }: Scene): (result?: TaskResult) => void {
  const waiting: ((result: TaskResult) => void)[] = []
  scsi.answer = () => new Promise((resolve) => waiting.push(resolve))
  return (result = GOOD) => waiting.shift()?.(result)
}
