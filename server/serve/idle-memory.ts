/** Memory that a busy time has left behind goes back to the system once the server is quiet: neither V8 nor malloc(3) does that by itself. */

import { type EventLoopUtilization, performance } from 'node:perf_hooks'
import koffi from 'koffi'
import type { Logger } from '../logging/logger.ts'
import { type Later, later, RepeatedLook } from '../zfs/repeated-look.ts'

/** Longer than the buffer pool keeps what nobody needs, so that it has let go of that. */
const LOOK_MILLISECONDS = 5000
/** A server that works less than this part of the time is quiet: nobody notices a pause of some 50 ms. */
const QUIET_UTILIZATION = 0.05
/** Less work than this leaves too little behind; so the pauses are at most a fortieth of all work. */
const WORTHWHILE_MILLISECONDS = 2000

export interface IdleMemoryOptions {
  readonly log: Logger
  /** What the event loop has done since the process began. */
  readonly utilization?: () => EventLoopUtilization
  readonly giveBack?: () => void
  readonly after?: Later
}

export class IdleMemory {
  readonly #options: Required<Omit<IdleMemoryOptions, 'after'>>
  readonly #looks: RepeatedLook
  #last: EventLoopUtilization
  #workedMilliseconds = 0

  constructor({ log, after = later, ...given }: IdleMemoryOptions) {
    this.#options = { log, utilization: () => performance.eventLoopUtilization(), giveBack, ...given }
    this.#last = this.#options.utilization()
    this.#looks = new RepeatedLook({
      pause: LOOK_MILLISECONDS,
      look: async () => this.#look(),
      failed: (error) => log.error({ err: error }, 'bug: unused memory could not be given back'),
      after,
    })
  }

  #look(): void {
    const { log, utilization } = this.#options
    const now = utilization()
    const since = performance.eventLoopUtilization(now, this.#last)
    this.#last = now
    this.#workedMilliseconds += since.active
    if (since.utilization > QUIET_UTILIZATION || this.#workedMilliseconds < WORTHWHILE_MILLISECONDS) return
    this.#workedMilliseconds = 0
    const before = process.memoryUsage.rss()
    this.#options.giveBack()
    log.debug(
      { before, after: process.memoryUsage.rss() },
      'the server is quiet: unused memory was given back',
    )
  }

  /** Looks no more. */
  async close(): Promise<void> {
    await this.#looks.close()
  }
}

/** Where the C library has it: glibc does. */
const trim = mallocTrim()

function mallocTrim(): ((pad: number) => number) | undefined {
  try {
    return koffi.load(null).func('int malloc_trim(size_t pad)')
  } catch {
    return undefined
  }
}

/** `bin/poolhouse` starts Node with --expose-gc; without it V8 keeps its garbage until there is more. */
function giveBack(): void {
  globalThis.gc?.()
  trim?.(0)
}
