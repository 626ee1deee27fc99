/** MS-SMB2 3.2: a client that caches as its leases allow, answers breaks late, loses its connection and comes back for its handles. */

import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { SHARE_ACCESS_ALL } from '../../../protocols/smb2/fscc/create-options.ts'
import { Command } from '../../../protocols/smb2/messages/commands.ts'
import { type CreateResponse, OplockLevel } from '../../../protocols/smb2/messages/create.ts'
import { LeaseState } from '../../../protocols/smb2/messages/create-context-lease.ts'
import { HeaderFlag } from '../../../protocols/smb2/messages/header.ts'
import { LEASE_BREAK_ACK_REQUIRED } from '../../../protocols/smb2/messages/lease-break.ts'
import { LockFlag } from '../../../protocols/smb2/messages/lock.ts'
import { encodeOplockBreakRequest } from '../../../protocols/smb2/messages/oplock-break.ts'
import { decodeReadResponse } from '../../../protocols/smb2/messages/read.ts'
import { OPLOCK_BREAK_TIMEOUT_MILLISECONDS } from '../../../protocols/smb2/state/break-waits.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { createdOf } from '../smb2-client.ts'
import * as requests from '../smb2-requests.ts'
import { CachedFile, type Handle, isNewer } from './cached-file.ts'
import type { Value } from './ledger.ts'
import { Link, LOST, type Loss } from './link.ts'
import { CELL_BYTES, cellBytes, cellValue, type Referee } from './referee.ts'
import { durableReconnect, durableRequest, grantedLease, isDurable, leaseRequest } from './wire.ts'

const GUID_BYTES = 16
const DURABLE_MILLISECONDS = 60_000
/** Read and write, not delete: what an editor asks for. */
const ACCESS = FileAccess.READ_DATA | FileAccess.WRITE_DATA | FileAccess.READ_ATTRIBUTES

/** A CREATE whose answer never came. */
interface LostCreate {
  readonly file: CachedFile
  readonly createGuid: Buffer
  readonly fields: requests.CreateFields
}

export class CachingClient {
  readonly name: string
  readonly files = new Map<string, CachedFile>()
  link: Link | undefined
  /** It does not know yet which of its handles and rights are left. */
  isConnecting = false
  readonly #referee: Referee
  readonly #clientGuid: Buffer
  /** Writes whose answer never came, by the handle they were sent through. */
  readonly #unanswered = new Map<Handle, { readonly cell: string; readonly value: Value }[]>()
  #lostCreate: LostCreate | undefined
  #previousSessionId = 0n

  constructor(referee: Referee, name: string) {
    this.#referee = referee
    this.name = name
    this.#clientGuid = referee.sim.environment.random(GUID_BYTES)
  }

  /** Connects, and fetches the handles it had. */
  async connect(): Promise<void> {
    const link = await Link.open(this.#referee.sim, this.name, this.#clientGuid, this.#previousSessionId)
    this.link = link
    this.isConnecting = true
    this.#previousSessionId = link.sessionId
    this.#referee.count('connections')
    for (const file of [...this.files.values()]) {
      for (const handle of [...file.handles]) await this.#reclaim(link, file, handle)
    }
    await this.#replay(link)
    this.isConnecting = false
  }

  lose(how: Loss): Link | undefined {
    const { link } = this
    this.link = undefined
    link?.lose(how)
    // What was heard on it needs no answer; what the lease is now, the reconnect will tell.
    for (const file of this.files.values()) file.breaks.length = 0
    return link
  }

  /** CREATE, asking for a lease and mostly for a durable handle. */
  async open(name: string, wanted: number, durable: boolean, shareAccess = SHARE_ACCESS_ALL): Promise<void> {
    const known = this.files.get(name)
    const file = known ?? new CachedFile(name, this.#referee.sim.environment.random(GUID_BYTES))
    this.files.set(name, file)
    const createGuid = this.#referee.sim.environment.random(GUID_BYTES)
    const fields: requests.CreateFields = {
      ...{ name, desiredAccess: ACCESS, shareAccess, requestedOplockLevel: OplockLevel.LEASE },
      createContexts: [
        leaseRequest(file.leaseKey, wanted),
        ...(durable ? [durableRequest(createGuid, DURABLE_MILLISECONDS)] : []),
      ],
    }
    const answer = await this.link?.ask(requests.createRequest(fields))
    if (answer === undefined || answer === LOST) {
      if (durable) this.#lostCreate = { file, createGuid, fields }
    } else {
      this.#opened(file, createGuid, createdOf(answer).response)
    }
    this.#forgetUnused(file)
  }

  /** Reads a cell, from the cache where that is allowed. */
  async read(file: CachedFile, handle: Handle, cell: number): Promise<void> {
    await file.inTurn(async () => {
      this.hear()
      const ledger = this.#referee.ledger(file.name, cell)
      const own = file.dirty.get(cell)
      if (own !== undefined) return
      const kept = file.mayRead ? file.clean.get(cell) : undefined
      if (kept !== undefined) {
        this.#referee.count('cached reads')
        if (this.link !== undefined) this.#referee.expect(this.name, ledger.judgeNow(kept))
        return
      }
      const reading = ledger.read()
      const request = requests.readRequest({
        ...{ fileId: handle.fileId, length: CELL_BYTES, offset: BigInt(cell * CELL_BYTES) },
      })
      const answer = await this.link?.ask(request)
      if (answer === undefined || answer === LOST) return
      const isEnd = answer.status === Status.END_OF_FILE
      if (answer.status !== Status.SUCCESS && !isEnd) return
      const value = isEnd ? 0 : cellValue(decodeReadResponse(answer.body).data)
      this.#referee.count('reads')
      this.#referee.expect(this.name, ledger.judge(reading, value))
      this.hear()
      if (file.mayRead) file.clean.set(cell, value)
    })
  }

  /** Writes a cell, to the cache where that is allowed. */
  async write(file: CachedFile, handle: Handle, cell: number, value: Value): Promise<void> {
    await file.inTurn(async () => {
      this.hear()
      if (!file.mayWrite) return this.#writeThrough(file, handle, cell, value)
      file.dirty.set(cell, value)
      this.#referee.ledger(file.name, cell).keep(value, () => this.#canBeAsked(file, cell, value))
      this.#referee.count('cached writes')
    })
  }

  /** An exclusive lock of one cell, or nothing. */
  async lock(handle: Handle, cell: number): Promise<void> {
    const flags = LockFlag.EXCLUSIVE_LOCK | LockFlag.FAIL_IMMEDIATELY
    const answer = await this.link?.ask(requests.lockRequest(handle.fileId, { ...range(cell), flags }))
    if (answer !== undefined && answer !== LOST && answer.status === Status.SUCCESS) {
      handle.locked.add(cell)
      this.#referee.count('locks')
    }
  }

  async unlock(handle: Handle, cell: number): Promise<void> {
    // Others may have it as soon as the server has heard of this.
    handle.locked.delete(cell)
    const element = { ...range(cell), flags: LockFlag.UNLOCK }
    await this.link?.ask(requests.lockRequest(handle.fileId, element))
  }

  /** Sends what was kept, and closes. */
  async close(file: CachedFile, handle: Handle): Promise<void> {
    await file.inTurn(async () => {
      await this.#writeBack(file)
      const { link } = this
      if (link === undefined) return
      file.handles.delete(handle)
      await link.ask(requests.closeRequest(handle.fileId))
      this.#forgetUnused(file)
    })
  }

  /** Takes in what has come of itself; what needs no answer takes effect at once. */
  hear(): void {
    for (const { notification, at } of this.link?.takeBreaks() ?? []) {
      if (notification.kind !== 'lease') throw new Error('an oplock was broken where there is none')
      const file = [...this.files.values()].find((each) => each.leaseKey.equals(notification.leaseKey))
      if (file === undefined) continue
      this.#referee.count('breaks')
      this.#note(
        file,
        `hears of a break to ${notification.newLeaseState}, told at ${at} (epoch ${notification.newEpoch})`,
      )
      const mustAcknowledge = (notification.flags & LEASE_BREAK_ACK_REQUIRED) !== 0
      if (mustAcknowledge) file.breaks.push({ to: notification.newLeaseState, heardAt: at })
      else file.take(file.leaseState & notification.newLeaseState, notification.newEpoch)
      if (isNewer(notification.newEpoch, file.epoch)) file.epoch = notification.newEpoch
    }
  }

  /** Answers the oldest break of a file: sends what was kept, then gives the rights up. */
  async answerBreak(file: CachedFile): Promise<void> {
    await file.inTurn(async () => {
      const heard = file.breaks[0]
      if (heard === undefined) return
      const losesWriting = file.has(LeaseState.WRITE_CACHING & ~heard.to)
      if (losesWriting) await this.#writeBack(file)
      // The connection may have been lost over it.
      if (file.breaks[0] !== heard) return
      file.take(file.leaseState & heard.to, file.epoch)
      file.breaks.shift()
      this.#note(file, `acknowledges ${heard.to}`)
      const answer = await this.link?.ask({
        command: Command.OPLOCK_BREAK,
        write: (writer) =>
          encodeOplockBreakRequest(writer, {
            ...{ kind: 'lease', leaseKey: file.leaseKey, leaseState: heard.to },
          }),
      })
      if (answer === undefined || answer === LOST) return
      // Too late: the server has given up waiting, and the lease is gone.
      if (answer.status === Status.SUCCESS) return
      file.take(LeaseState.NONE, file.epoch)
      await this.#writeBack(file)
    })
  }

  async #writeBack(file: CachedFile): Promise<void> {
    for (const [cell, value] of [...file.dirty]) {
      const [handle] = file.handles
      if (handle === undefined || this.link === undefined) return
      await this.#writeThrough(file, handle, cell, value)
      file.dirty.delete(cell)
    }
  }

  async #writeThrough(file: CachedFile, handle: Handle, cell: number, value: Value): Promise<void> {
    const { link } = this
    if (link === undefined) return
    const ledger = this.#referee.ledger(file.name, cell)
    ledger.sent(value)
    const request = requests.writeRequest({
      ...{ fileId: handle.fileId, data: cellBytes(value), offset: BigInt(cell * CELL_BYTES) },
    })
    const answer = await link.ask(request)
    if (answer === LOST) {
      const list = this.#unanswered.get(handle) ?? []
      list.push({ cell: this.#referee.cellName(file.name, cell), value })
      this.#unanswered.set(handle, list)
      file.clean.delete(cell)
    } else if (answer.status === Status.SUCCESS) {
      ledger.acknowledged(value)
      this.#referee.count('writes')
      this.hear()
      if (file.mayRead) file.clean.set(cell, value)
      else file.clean.delete(cell)
    } else {
      ledger.refused(value)
    }
  }

  #opened(file: CachedFile, createGuid: Buffer, response: CreateResponse | undefined): void {
    if (response === undefined) return
    this.hear()
    const lease = grantedLease(response)
    if (lease === undefined) file.take(LeaseState.NONE, file.epoch)
    // An answer whose epoch is known tells of nothing new, and one that a break has overtaken of the past.
    else if (isNewer(lease.epoch, file.epoch)) file.take(lease.leaseState, lease.epoch)
    const durable = isDurable(response)
    file.handles.add({ fileId: response.fileId, createGuid, durable, locked: new Set() })
    this.#referee.count('opens')
    this.#note(file, `has it open, lease ${lease?.leaseState} (epoch ${lease?.epoch}), durable ${durable}`)
    if (durable) this.#referee.count('durable opens')
  }

  /** 3.2.4.4: the handle as it was, or not at all. */
  async #reclaim(link: Link, file: CachedFile, handle: Handle): Promise<void> {
    if (!handle.durable) return this.#drop(file, handle)
    const answer = await link.ask(
      requests.createRequest({
        ...{ name: file.name, desiredAccess: ACCESS, requestedOplockLevel: OplockLevel.LEASE },
        createContexts: [
          durableReconnect(handle.fileId, handle.createGuid),
          leaseRequest(file.leaseKey, file.leaseState),
        ],
      }),
    )
    if (answer === LOST) return
    const { response } = createdOf(answer)
    if (response === undefined) return this.#drop(file, handle)
    this.#referee.count('reclaimed')
    this.#note(file, 'has it open again')
    handle.fileId = response.fileId
    const lease = grantedLease(response)
    file.take(file.leaseState & (lease?.leaseState ?? LeaseState.NONE), lease?.epoch ?? file.epoch)
    if (!file.has(LeaseState.WRITE_CACHING)) await this.#writeBack(file)
    // What was under way on the old connection is over.
    for (const { cell, value } of this.#unanswered.get(handle) ?? []) this.#referee.settled(cell, value)
    this.#unanswered.delete(handle)
  }

  /** What is kept here can be had: the server can reach the client, and has not given up waiting for it. */
  #canBeAsked(file: CachedFile, cell: number, value: Value): boolean {
    const [oldest] = file.breaks
    const isLate = oldest !== undefined && this.#now() - oldest.heardAt >= OPLOCK_BREAK_TIMEOUT_MILLISECONDS
    const isHere = this.link !== undefined && !this.isConnecting
    return isHere && !isLate && file.has(LeaseState.WRITE_CACHING) && file.dirty.get(cell) === value
  }

  #now(): number {
    return this.#referee.sim.environment.now()
  }

  #note(file: CachedFile, what: string): void {
    this.#referee.note(this.name, `${file.name}: ${what}`)
  }

  #drop(file: CachedFile, handle: Handle): void {
    this.#referee.count('handles lost')
    this.#note(file, 'lost a handle')
    file.handles.delete(handle)
    this.#unanswered.delete(handle)
    this.#forgetUnused(file)
  }

  /** 3.2.4.3: the same CREATE once more, as its answer did not come. */
  async #replay(link: Link): Promise<void> {
    const lost = this.#lostCreate
    if (lost === undefined) return
    this.#lostCreate = undefined
    const file = this.files.get(lost.file.name) ?? lost.file
    // It names the lease key of its file: under another one it would not be the same request.
    if (file !== lost.file) return
    this.files.set(file.name, file)
    const request = requests.createRequest(lost.fields)
    const answer = await link.ask({ ...request, flags: HeaderFlag.REPLAY_OPERATION })
    if (answer !== LOST) {
      this.#referee.count('replays')
      this.#opened(file, lost.createGuid, createdOf(answer).response)
    }
    this.#forgetUnused(file)
  }

  #forgetUnused(file: CachedFile): void {
    if (file.handles.size > 0) return
    file.forget()
    if (this.files.get(file.name) === file) this.files.delete(file.name)
  }
}

function range(cell: number): { offset: bigint; length: bigint } {
  return { offset: BigInt(cell * CELL_BYTES), length: BigInt(CELL_BYTES) }
}
