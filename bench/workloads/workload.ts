/** What a row of the table measures: something a client does, with an amount and a time. */

import type { Account, RunningServer } from '../peers/peer.ts'

/** What all workloads of a run share. */
export interface Ground {
  /** The folder that is shared. */
  readonly data: string
  /** A folder of the clients, on the same file system. */
  readonly local: string
  readonly account: Account
  /** Bytes of the large file, and of what several clients transfer together. */
  readonly fileBytes: number
  /** Files in the folder that is listed. */
  readonly entries: number
  /** Small files that are made, read, looked at, renamed and deleted. */
  readonly files: number
}

/** How amounts are shown. */
export interface Unit {
  /** What a row's number is: the amount per second, of which more is better, or the amount itself, of which less is. */
  readonly measure: 'rate' | 'amount'
  readonly name: string
  /** Amount (per second) in one unit. */
  readonly per: number
  /** Of processor time: seconds per this much; undefined: it says nothing. */
  readonly cost?: { readonly name: string; readonly per: number }
}

/** One timed run. */
export interface Run {
  /** Bytes, entries or files, as the workload's unit says. */
  readonly amount: number
  readonly seconds: number
}

export interface Workload {
  readonly name: string
  /** The ratio, ours divided by the peer's, that is good enough: the least of a rate, the most of an amount. */
  readonly mark: number
  readonly unit: Unit
  /** Runs of each server that are enough, where one takes long. */
  readonly mostPairs?: number
  /** Makes files that are not there yet; the same ones serve all workloads and servers. */
  prepare(ground: Ground): Promise<void>
  /** Does it once and looks whether the result is right; warms caches as well. @throws Error when it is wrong */
  verify(ground: Ground, server: RunningServer): Promise<void>
  run(ground: Ground, server: RunningServer): Promise<Run>
}

const KIBIBYTE = 1024
export const MEBIBYTE = KIBIBYTE ** 2
const GIBIBYTE = KIBIBYTE ** 3
const THOUSAND = 1000

export const BYTES: Unit = {
  ...{ measure: 'rate', name: 'MiB/s', per: MEBIBYTE },
  cost: { name: 'GiB', per: GIBIBYTE },
}
export const OPERATIONS: Unit = perThousand('IO')
export const ENTRIES: Unit = perThousand('entries')
export const FILES: Unit = perThousand('files')
export const SESSIONS: Unit = perThousand('sessions')
export const MEMORY: Unit = { measure: 'amount', name: 'MiB', per: MEBIBYTE }

function perThousand(things: string): Unit {
  return { measure: 'rate', name: `${things}/s`, per: 1, cost: { name: `10^3 ${things}`, per: THOUSAND } }
}
