/** SAM-5 5.14: what a logical unit keeps for each I_T nexus: unit attentions, failures of earlier commands, PREVENT. */

import type { Sense } from './sense.ts'
import type { Nexus } from './task.ts'

/** One of a kind is enough, and kinds are few. */
const UNIT_ATTENTIONS_MAXIMUM = 16
/** ASC 29h: a reset, which makes all that was noticed before meaningless (SAM-5 5.14.2). */
const RESET_ASC = 0x29

/** How tables know a nexus: the same names mean the same nexus, also after a restart. */
export function keyOfNexus(nexus: Nexus): string {
  return `${nexus.relativeTargetPort}\0${nexus.initiatorPort}`
}

export class NexusState {
  readonly nexus: Nexus
  readonly key: string
  /** PREVENT ALLOW MEDIUM REMOVAL (SPC-4 6.18). */
  preventsRemoval = false
  #unitAttentions: Sense[] = []
  #deferred: Sense | undefined

  constructor(nexus: Nexus) {
    this.nexus = nexus
    this.key = keyOfNexus(nexus)
  }

  get hasAttention(): boolean {
    return this.#unitAttentions.length > 0 || this.#deferred !== undefined
  }

  /** Establishes a unit attention condition. */
  establish(sense: Sense): void {
    if (sense.code >> 8 === RESET_ASC) this.#unitAttentions = []
    const isKnown = this.#unitAttentions.some((one) => one.code === sense.code)
    if (!isKnown && this.#unitAttentions.length < UNIT_ATTENTIONS_MAXIMUM) this.#unitAttentions.push(sense)
  }

  /** A unit attention condition has ended before it was reported. */
  clear(sense: Sense): void {
    this.#unitAttentions = this.#unitAttentions.filter((one) => one.code !== sense.code)
  }

  /** A command that was answered already has failed (SPC-4 4.5.5): the next one says so. */
  defer(sense: Sense): void {
    this.#deferred ??= { ...sense, isDeferred: true }
  }

  /** The next thing to report, which is forgotten with it. */
  takeAttention(): Sense | undefined {
    const deferred = this.#deferred
    this.#deferred = undefined
    return deferred ?? this.#unitAttentions.shift()
  }
}
