/** The short form of the bench: a few rows at small sizes, which fail at half their marks. Fit to be a step of the test run. */

import { join } from 'node:path'
import type { Need } from '../test/interop/needs.ts'
import { needs } from '../test/interop/needs.ts'
import { projectRoot } from '../test/interop/paths.ts'

export const QUICK = 'quick'

/**
 * How the names of its rows begin; of several that do, the first. Not of small files but for renaming: creating is at 0.75 to 1.1, close to half
 * its mark (0.75), and most of it is the disk's own work; opening and reading is at 1.0 on a machine that does nothing else, and at 0.4 to 0.9 where
 * the processors are kept awake, as then smbd's many short sleeps cost less. Both would fail by what else the machine does; the whole bench has them.
 */
export const QUICK_ROWS = [
  'read',
  'write',
  'read signed GMAC',
  'write encrypted AES-128-GCM',
  'small rename',
  'list',
  'iscsi read 4 KiB random, depth 32',
  'iscsi read 1024 KiB sequential',
]

/** Instead of the defaults; who gives an option has it. Of fewer files a client's login and code not yet compiled are too much. */
export const QUICK_SIZES = { pairs: 3, size: 128 * 1024 ** 2, entries: 2000, files: 2000 } as const

/** A row fails below this part of its mark: a busy machine and small sizes alone do not get there. */
export const QUICK_LENIENCY = 0.5

/** No row begins later than so long after the start, however slow the machine is. */
export const QUICK_SECONDS = 150

/** More than it takes (under three minutes), less than a hung program would. */
const LIMIT_SECONDS = 300

export interface Step {
  readonly name: string
  readonly about: string
  /** Without these there is nothing to measure with, or to compare with. */
  readonly needs: readonly Need[]
  readonly limitSeconds: number
  readonly command: string
  readonly args: readonly string[]
}

/**
 * How to run it as a step, compiled, from wherever. It prints its tables, then `bench: <n> passed, <n> failed`, as the suites
 * do, and exits with 0 unless a row fails; rows that were refused count as neither.
 */
export function quickStep(): Step {
  return {
    name: 'bench',
    about: 'the short bench: no row below half its mark',
    needs: [
      ...[needs.smbclient, needs.smbd, needs.tgt],
      ...[needs.qemuImg, needs.qemuStorageDaemon, needs.libiscsi, needs.fio],
    ],
    limitSeconds: LIMIT_SECONDS,
    command: process.execPath,
    args: [join(projectRoot, 'dist', 'bench', 'main.js'), QUICK],
  }
}
