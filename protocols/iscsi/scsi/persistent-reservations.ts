/** SPC-4 5.12: registrations and the persistent reservation of a logical unit, without parameter lists and commands. */

import { keyOfNexus } from './nexus-state.ts'
import { type Sense, senses } from './sense.ts'
import type { Nexus } from './task.ts'

export const ReservationType = {
  writeExclusive: 1,
  exclusiveAccess: 3,
  writeExclusiveRegistrantsOnly: 5,
  exclusiveAccessRegistrantsOnly: 6,
  writeExclusiveAllRegistrants: 7,
  exclusiveAccessAllRegistrants: 8,
} as const
export type ReservationType = (typeof ReservationType)[keyof typeof ReservationType]

const TYPES: ReadonlySet<number> = new Set(Object.values(ReservationType))
const EXCLUSIVE_ACCESS: ReadonlySet<number> = new Set([3, 6, 8])
const ALL_REGISTRANTS: ReadonlySet<number> = new Set([7, 8])
const FOR_REGISTRANTS: ReadonlySet<number> = new Set([5, 6, 7, 8])
/** Past this a REGISTER is refused: nobody has that many paths. */
const REGISTRATIONS_MAXIMUM = 256

export interface Registration {
  readonly nexus: Nexus
  readonly key: bigint
}

export interface Reservation {
  readonly type: ReservationType
  /** Nexus key of the holder; undefined: all registrants are. */
  readonly holder: string | undefined
}

/** What is kept over a restart while APTPL is on. */
export interface PersistentRecord {
  readonly registrations: readonly {
    readonly initiatorPort: string
    readonly relativeTargetPort: number
    /** Hexadecimal. */
    readonly key: string
  }[]
  readonly reservation?: { readonly type: number; readonly holder?: string }
}

/** Unit attentions to establish, by nexus key, and those whose tasks end (PREEMPT AND ABORT). */
export interface Aftermath {
  readonly attentions: readonly { readonly nexus: string; readonly sense: Sense }[]
  readonly preempted: readonly Nexus[]
}

/** `conflict`: RESERVATION CONFLICT; a sense: CHECK CONDITION. */
export type Change = { readonly kind: 'done'; readonly aftermath: Aftermath } | 'conflict' | Sense

const NO_AFTERMATH: Aftermath = { attentions: [], preempted: [] }
const UNCHANGED: Change = { kind: 'done', aftermath: NO_AFTERMATH }

export function isReservationType(type: number): type is ReservationType {
  return TYPES.has(type)
}

export class PersistentReservations {
  /** PRGENERATION. */
  generation = 0
  /** Activate Persist Through Power Loss. */
  persists = false
  readonly #registrations = new Map<string, Registration>()
  #reservation: Reservation | undefined

  get registrations(): readonly Registration[] {
    return [...this.#registrations.values()]
  }

  get hasRegistrations(): boolean {
    return this.#registrations.size > 0
  }

  get reservation(): Reservation | undefined {
    return this.#reservation
  }

  /** The key that READ RESERVATION shows: 0 when all registrants hold it. */
  get holderKey(): bigint {
    const holder = this.#reservation?.holder
    return holder === undefined ? 0n : (this.#registrations.get(holder)?.key ?? 0n)
  }

  isHolder(nexusKey: string): boolean {
    if (this.#reservation === undefined || !this.#registrations.has(nexusKey)) return false
    return this.#reservation.holder === undefined || this.#reservation.holder === nexusKey
  }

  /** Whether the reservation keeps a nexus from a command that reads or writes (SPC-4 table 67). */
  conflicts(nexusKey: string, access: 'read' | 'write'): boolean {
    const reservation = this.#reservation
    if (reservation === undefined || this.isHolder(nexusKey)) return false
    if (FOR_REGISTRANTS.has(reservation.type) && this.#registrations.has(nexusKey)) return false
    return access === 'write' || EXCLUSIVE_ACCESS.has(reservation.type)
  }

  /** REGISTER, and with `existing` undefined REGISTER AND IGNORE EXISTING KEY (SPC-4 5.12.7). */
  register(nexus: Nexus, existing: bigint | undefined, key: bigint, persists: boolean): Change {
    const id = keyOfNexus(nexus)
    const known = this.#registrations.get(id)
    if (existing !== undefined && existing !== (known?.key ?? 0n)) return 'conflict'
    if (known === undefined && key === 0n) return UNCHANGED
    if (known === undefined && this.#registrations.size >= REGISTRATIONS_MAXIMUM) {
      return senses.insufficientRegistrations
    }
    this.generation = next(this.generation)
    this.persists = persists
    if (key === 0n) return done(this.#unregister(id))
    this.#registrations.set(id, { nexus, key })
    return UNCHANGED
  }

  /** RESERVE (SPC-4 5.12.9). */
  reserve(nexus: Nexus, key: bigint, type: ReservationType): Change {
    const id = keyOfNexus(nexus)
    if (!this.#matches(id, key)) return 'conflict'
    if (this.#reservation !== undefined) {
      return this.isHolder(id) && this.#reservation.type === type ? UNCHANGED : 'conflict'
    }
    this.#reservation = reservationOf(type, id)
    return UNCHANGED
  }

  /** RELEASE (SPC-4 5.12.11.2). */
  release(nexus: Nexus, key: bigint, type: number): Change {
    const id = keyOfNexus(nexus)
    if (!this.#matches(id, key)) return 'conflict'
    const reservation = this.#reservation
    if (reservation === undefined || !this.isHolder(id)) return UNCHANGED
    if (reservation.type !== type) return senses.invalidRelease
    this.#reservation = undefined
    if (!FOR_REGISTRANTS.has(reservation.type)) return UNCHANGED
    return done(this.#tell(this.#others(id), senses.reservationsReleased))
  }

  /** CLEAR (SPC-4 5.12.11.6). */
  clear(nexus: Nexus, key: bigint): Change {
    const id = keyOfNexus(nexus)
    if (!this.#matches(id, key)) return 'conflict'
    const others = this.#others(id)
    this.#registrations.clear()
    this.#reservation = undefined
    this.generation = next(this.generation)
    return done(this.#tell(others, senses.reservationsPreempted))
  }

  /** PREEMPT and PREEMPT AND ABORT (SPC-4 5.12.11.4). @param victim SERVICE ACTION RESERVATION KEY */
  preempt(nexus: Nexus, key: bigint, victim: bigint, type: number): Change {
    const id = keyOfNexus(nexus)
    if (!this.#matches(id, key)) return 'conflict'
    const before = this.#reservation
    const ofAll = before !== undefined && before.holder === undefined
    const takesOver = before !== undefined && (ofAll ? victim === 0n : this.holderKey === victim)
    if (victim === 0n && !takesOver) return senses.invalidFieldInParameters
    if (takesOver && !isReservationType(type)) return senses.invalidFieldInCdb
    const victims = [...this.#registrations].filter(([other, one]) =>
      takesOver ? other !== id && (ofAll || one.key === victim) : one.key === victim,
    )
    if (victims.length === 0 && !takesOver) return 'conflict'
    for (const [other] of victims) this.#registrations.delete(other)
    this.generation = next(this.generation)
    const attentions: { nexus: string; sense: Sense }[] = victims
      .filter(([other]) => other !== id)
      .map(([other]) => ({ nexus: other, sense: senses.registrationsPreempted }))
    if (takesOver) {
      this.#reservation = reservationOf(type as ReservationType, id)
      // Who stays registered hears that the reservation is not what it was.
      if (before.type !== type) attentions.push(...this.#tell(this.#others(id), senses.reservationsReleased))
    } else if (before !== undefined && ofAll && this.#registrations.size === 0) this.#reservation = undefined
    return { kind: 'done', aftermath: { attentions, preempted: victims.map(([, one]) => one.nexus) } }
  }

  /** REGISTER AND MOVE (SPC-4 5.12.8). */
  move(nexus: Nexus, key: bigint, to: Nexus, options: MoveOptions): Change {
    const id = keyOfNexus(nexus)
    const target = keyOfNexus(to)
    if (!this.#matches(id, key) || !this.isHolder(id)) return 'conflict'
    const reservation = this.#reservation
    if (reservation === undefined || ALL_REGISTRANTS.has(reservation.type)) return 'conflict'
    if (target === id || options.key === 0n) return senses.invalidFieldInParameters
    this.#registrations.set(target, { nexus: to, key: options.key })
    this.#reservation = { type: reservation.type, holder: target }
    if (options.unregister) this.#registrations.delete(id)
    this.generation = next(this.generation)
    this.persists = options.persists
    return UNCHANGED
  }

  /** What a store keeps; undefined: nothing is to be kept. */
  record(): PersistentRecord | undefined {
    if (!this.persists || this.#registrations.size === 0) return undefined
    return {
      registrations: this.registrations.map(({ nexus, key }) => ({ ...nexus, key: key.toString(16) })),
      ...(this.#reservation && {
        reservation: {
          type: this.#reservation.type,
          ...(this.#reservation.holder !== undefined && { holder: this.#reservation.holder }),
        },
      }),
    }
  }

  /** Takes over what was kept before a restart. */
  restore(record: PersistentRecord): void {
    for (const { initiatorPort, relativeTargetPort, key } of record.registrations) {
      const nexus = { initiatorPort, relativeTargetPort }
      this.#registrations.set(keyOfNexus(nexus), { nexus, key: BigInt(`0x${key}`) })
    }
    this.persists = this.#registrations.size > 0
    const { reservation } = record
    if (reservation === undefined || !isReservationType(reservation.type)) return
    this.#reservation = { type: reservation.type, holder: reservation.holder }
  }

  #matches(id: string, key: bigint): boolean {
    return this.#registrations.get(id)?.key === key
  }

  #others(id: string): string[] {
    return [...this.#registrations.keys()].filter((other) => other !== id)
  }

  #tell(nexuses: readonly string[], sense: Sense): { nexus: string; sense: Sense }[] {
    return nexuses.map((nexus) => ({ nexus, sense }))
  }

  /** SPC-4 5.12.11.3: with its holder, or its last registrant, the reservation goes. */
  #unregister(id: string): { nexus: string; sense: Sense }[] {
    const wasHolder = this.isHolder(id)
    this.#registrations.delete(id)
    const reservation = this.#reservation
    if (reservation === undefined || !wasHolder) return []
    if (reservation.holder === undefined && this.#registrations.size > 0) return []
    this.#reservation = undefined
    if (!FOR_REGISTRANTS.has(reservation.type)) return []
    return this.#tell(this.#others(id), senses.reservationsReleased)
  }
}

export interface MoveOptions {
  readonly key: bigint
  readonly unregister: boolean
  readonly persists: boolean
}

function reservationOf(type: ReservationType, holder: string): Reservation {
  return { type, holder: ALL_REGISTRANTS.has(type) ? undefined : holder }
}

function done(attentions: Aftermath['attentions']): Change {
  return { kind: 'done', aftermath: { attentions, preempted: [] } }
}

/** PRGENERATION wraps (SPC-4 6.15.2). */
function next(generation: number): number {
  return (generation + 1) >>> 0
}
