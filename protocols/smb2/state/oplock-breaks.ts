/** MS-SMB2 3.3.1.10 Open.OplockLevel, OplockState and OplockTimeout: the oplocks of this server's opens, and who waits for a break. */

import type { StreamNode } from '../../../storage/sharing/node-table.ts'
import type { Acknowledgment, Check, OplockLevel, Oplocks } from '../../../storage/sharing/oplocks.ts'
import type { Cancel, Environment } from '../../transport/engine.ts'
import { OplockLevel as WireLevel } from '../messages/create.ts'
import type { Open, SharedFile } from './open.ts'

/** 3.3.2.1, the oplock break acknowledgment timer: "35 seconds" on Windows. */
export const OPLOCK_BREAK_TIMEOUT_MILLISECONDS = 35_000
/** Requests that may wait for one break. */
export const MAXIMUM_WAITING_FOR_BREAK = 256

export type WaitEnd = 'again' | 'cancelled' | 'refused'

/** Waiting for others to give up what they cache. */
export interface BreakWait {
  /**
   * 'again': what waited has to be checked again, from the start. 'refused': too many wait already.
   * Never rejects.
   */
  readonly ended: Promise<WaitEnd>
  cancel(): void
}

/** An open, and the stream that it is of. */
type Place = Pick<Open['file'], 'shared' | 'node'>

/** A break whose acknowledgment is awaited. */
interface BreakUnderWay {
  readonly stopTimer: Cancel
  readonly waiters: Set<() => void>
}

/** What this server knows of an open with an oplock. */
interface Holder {
  readonly open: Open
  /** The client knows of the open. */
  announced: boolean
  /** A break that the client is told once it does. */
  deferred: number | undefined
}

const WIRE_LEVELS: Readonly<Record<OplockLevel, number>> = {
  none: WireLevel.NONE,
  II: WireLevel.II,
  exclusive: WireLevel.EXCLUSIVE,
  batch: WireLevel.BATCH,
}
const LEVELS = new Map<number, OplockLevel>(
  Object.entries(WIRE_LEVELS).map(([level, wire]) => [wire, level as OplockLevel]),
)

/** The bits of Oplocks that are needed here: the rules themselves are storage's. */
export type OplockRules = Pick<
  Oplocks<SharedFile>,
  | 'acknowledge'
  | 'beginChange'
  | 'changedSince'
  | 'check'
  | 'checkOpens'
  | 'endChange'
  | 'expire'
  | 'mark'
  | 'request'
  | 'stateOf'
>

export class OplockBreaks {
  readonly #rules: OplockRules
  readonly #environment: Environment
  readonly #notify: (open: Open, oplockLevel: number) => void
  readonly #holders = new Map<SharedFile, Holder>()
  readonly #underWay = new Map<SharedFile, BreakUnderWay>()

  /** @param notify sends an OPLOCK_BREAK Notification (3.3.4.6) */
  constructor(
    rules: OplockRules,
    environment: Environment,
    notify: (open: Open, oplockLevel: number) => void,
  ) {
    this.#rules = rules
    this.#environment = environment
    this.#notify = notify
  }

  /**
   * 3.3.5.9: grants what a CREATE asks for, or less. Breaks are held back until `announced`, as the
   * client must not hear of an open that it does not know yet.
   * @returns Open.OplockLevel
   */
  grant(open: Open, requestedOplockLevel: number): number {
    const wanted = LEVELS.get(requestedOplockLevel) ?? 'none'
    const { shared, node, type } = open.file
    // MS-FSA 2.1.5.18: directories have leases alone.
    if (wanted === 'none' || type !== 'file') return WireLevel.NONE
    const granted = this.#rules.request(node, shared, wanted)
    if (granted !== 'none') this.#holders.set(shared, { open, announced: false, deferred: undefined })
    return WIRE_LEVELS[granted]
  }

  /** The response to its CREATE is on its way. */
  announced(open: Open): void {
    const holder = this.#holders.get(open.file.shared)
    if (holder === undefined) return
    holder.announced = true
    if (holder.deferred !== undefined) this.#tell(holder, holder.deferred)
    holder.deferred = undefined
  }

  /** Open.OplockLevel: while a break is under way, that before it. */
  levelOf(open: Open): OplockLevel {
    if (open.isPipe) return 'none'
    const [level] = this.#rules.stateOf(open.file.shared).split('>')
    return level as OplockLevel
  }

  /** Breaks what one more open of a stream cannot share. @returns undefined when it need not wait */
  breakForOpen(stream: StreamNode<SharedFile>, overwrites: boolean): BreakWait | undefined {
    return this.#perform(this.#rules.check(stream, overwrites ? 'overwrite' : 'open'))
  }

  /** Asks the holders of batch oplocks among these opens to close what they need no longer. */
  breakConflicting(opens: Iterable<SharedFile>): BreakWait | undefined {
    return this.#perform(this.#rules.checkOpens(opens, 'conflict'))
  }

  /** Breaks what others, and level II what anyone, cache of a stream that an open is about to lock. */
  breakForLock({ file }: Open): BreakWait | undefined {
    return this.#perform(this.#rules.check(file.node, 'change', file.shared))
  }

  /**
   * Data or size of a stream is about to be changed through an open: no one caches what it was,
   * nor anything until `endChange`, which must follow in any case. Only level II is ever broken by
   * this, as an open that may change data did away with others' exclusive ones when it was made.
   */
  beginChange({ shared, node }: Place): void {
    this.#perform(this.#rules.beginChange(node, shared))
  }

  endChange({ node }: Place): void {
    this.#rules.endChange(node)
  }

  /** Now, for `changedSince`. */
  mark(): number {
    return this.#rules.mark()
  }

  /** Whether the open's stream may have been changed since: its size must then be asked for again. */
  changedSince({ file }: Open, mark: number): boolean {
    return this.#rules.changedSince(file.node, mark)
  }

  /** 3.3.5.22.1: a client acknowledges a break. */
  acknowledge(open: Open, oplockLevel: number): Acknowledgment {
    const { shared } = open.file
    // A level that there is not is no lower one.
    const result = this.#rules.acknowledge(shared, LEVELS.get(oplockLevel) ?? 'batch')
    if (result === 'accepted' || result === 'violation') this.#endBreak(shared)
    return result
  }

  /** The open is gone, with all that its end brought about: those who wait for it look again. */
  closed(open: Open): void {
    if (open.isPipe) return
    this.#holders.delete(open.file.shared)
    this.#endBreak(open.file.shared)
  }

  /** Tells the holders, and waits for those that have to answer. */
  #perform({ breaks, waitFor }: Check<SharedFile>): BreakWait | undefined {
    for (const { open, to, acknowledges } of breaks) {
      if (acknowledges) this.#underWay.set(open, this.#begin(open))
      const holder = this.#holders.get(open)
      if (holder?.announced === true) this.#tell(holder, WIRE_LEVELS[to])
      else if (holder !== undefined) holder.deferred = WIRE_LEVELS[to]
    }
    return waitFor.length === 0 ? undefined : this.#wait(waitFor)
  }

  #begin(shared: SharedFile): BreakUnderWay {
    const expire = (): void => {
      this.#rules.expire(shared)
      this.#endBreak(shared)
    }
    return {
      stopTimer: this.#environment.after(OPLOCK_BREAK_TIMEOUT_MILLISECONDS, expire),
      waiters: new Set(),
    }
  }

  #tell({ open }: Holder, oplockLevel: number): void {
    // A client that is closing it gives everything up anyway.
    if (!open.closing) this.#notify(open, oplockLevel)
  }

  #wait(waitFor: readonly SharedFile[]): BreakWait {
    const awaited = new Set<() => void>()
    let end: (how: WaitEnd) => void = () => undefined
    const ended = new Promise<WaitEnd>((resolve) => {
      end = resolve
    })
    const breaks = waitFor.map((shared) => this.#breakOf(shared))
    if (breaks.some(({ waiters }) => waiters.size >= MAXIMUM_WAITING_FOR_BREAK)) {
      return { ended: Promise.resolve('refused'), cancel: () => undefined }
    }
    for (const { waiters } of breaks) {
      const done = (): void => {
        waiters.delete(done)
        awaited.delete(done)
        if (awaited.size === 0) end('again')
      }
      awaited.add(done)
      waiters.add(done)
    }
    const cancel = (): void => {
      for (const { waiters } of breaks) for (const done of awaited) waiters.delete(done)
      end('cancelled')
    }
    return { ended, cancel }
  }

  #breakOf(shared: SharedFile): BreakUnderWay {
    const underWay = this.#underWay.get(shared)
    if (underWay === undefined) throw new Error('an oplock is being broken without anyone knowing')
    return underWay
  }

  #endBreak(shared: SharedFile): void {
    const underWay = this.#underWay.get(shared)
    if (underWay === undefined) return
    this.#underWay.delete(shared)
    underWay.stopTimer()
    for (const done of [...underWay.waiters]) done()
  }
}
