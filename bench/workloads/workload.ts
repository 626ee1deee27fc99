/** What a row of the table measures: something a client does, with an amount and a time. */

import type { Account, RunningServer } from '../peers/peer.ts'

/** What all workloads of a run share. */
export interface Ground {
  /** The folder that is shared. */
  readonly data: string
  /** A folder of the clients, on the same file system. */
  readonly local: string
  readonly account: Account
  /** Bytes of the large file. */
  readonly fileBytes: number
  /** Files in the folder that is listed. */
  readonly entries: number
}

/** How amounts are shown. */
export interface Unit {
  /** Of throughput. */
  readonly rate: string
  /** Amount in one unit of throughput. */
  readonly ratePer: number
  /** Of processor time: seconds per this much. */
  readonly cost: string
  readonly costPer: number
}

/** One timed run. */
export interface Run {
  /** Bytes or entries, as the workload's unit says. */
  readonly amount: number
  readonly seconds: number
}

export interface Workload {
  readonly name: string
  /** The least ratio, ours divided by the peer's, that is good enough. */
  readonly mark: number
  readonly unit: Unit
  /** Makes files that are not there yet; the same ones serve all workloads and servers. */
  prepare(ground: Ground): Promise<void>
  /** Does it once and looks whether the result is right; warms caches as well. @throws Error when it is wrong */
  verify(ground: Ground, server: RunningServer): Promise<void>
  run(ground: Ground, server: RunningServer): Promise<Run>
}

const KIBIBYTE = 1024
const MEBIBYTE = KIBIBYTE ** 2
const GIBIBYTE = KIBIBYTE ** 3
const MILLION = 1_000_000

export const BYTES: Unit = { rate: 'MiB/s', ratePer: MEBIBYTE, cost: 'GiB', costPer: GIBIBYTE }
export const OPERATIONS: Unit = { rate: 'IO/s', ratePer: 1, cost: '10^3 IO', costPer: 1000 }
export const ENTRIES: Unit = { rate: 'entries/s', ratePer: 1, cost: '10^6 entries', costPer: MILLION }
