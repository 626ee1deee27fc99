/** A Mac's sparsebundle while the server is killed and the power fails: what a full sync acknowledged is there afterwards. */

import { randomInt } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Dice } from '../sim/world/dice.ts'
import { makeAccounts } from './environment.ts'
import { needs } from './needs.ts'
import { BAND_BYTES } from './power-cut/content.ts'
import { type Interruption, type Plan, Trial } from './power-cut/trial.ts'
import { expect, type Report } from './report.ts'
import { against } from './server.ts'
import type { Suite } from './suite.ts'

const MiB = 1 << 20
const largestSeed = 2 ** 31
/** The Mac that sends no syncs: little enough that the kernel does not write it by itself in the meantime. */
const CONTROL_BYTES = 128 * MiB
const shownLosses = 10

interface Size {
  readonly bytes: number
  readonly kills: number
  readonly cuts: number
}

const shortSize: Size = { bytes: 512 * MiB, kills: 8, cuts: 4 }
const longSize: Size = {
  bytes: Number(process.env['POOLHOUSE_POWERCUT_BYTES'] ?? 20e9),
  kills: Number(process.env['POOLHOUSE_POWERCUT_KILLS'] ?? 50),
  cuts: Number(process.env['POOLHOUSE_POWERCUT_CUTS'] ?? 50),
}
const parts = [needs.root, needs.xfs, needs.xfsIo]

export const powerCutSuite: Suite = {
  name: 'power-cut',
  about: 'a sparsebundle outlives kills of the server and power cuts as far as it was synced',
  needs: parts,
  bearsCompany: true,
  limitSeconds: 300,
  run: (report, directory) => powerCut(report, directory, shortSize),
}

export const powerCutLongSuite: Suite = {
  name: 'power-cut-long',
  about: 'the same with 20 GB, fifty kills and fifty power cuts',
  needs: parts,
  onDemand: true,
  limitSeconds: 3600,
  run: (report, directory) => powerCut(report, directory, longSize),
}

async function powerCut(report: Report, directory: string, size: Size): Promise<void> {
  if (against !== 'poolhouse') {
    report.note('for this server alone: smbd is not killed here')
    return
  }
  const owner = await makeAccounts(directory)
  const seed = Number(process.env['POOLHOUSE_POWERCUT_SEED'] ?? randomInt(largestSeed))
  report.note(`seed ${seed}`)
  await report.group('control', () =>
    control(report, join(directory, 'control'), { bytes: CONTROL_BYTES, seed, syncs: false, owner }),
  )
  await report.group('synced', () =>
    synced(report, join(directory, 'synced'), { bytes: size.bytes, seed, syncs: true, owner }, size),
  )
}

/** Without syncs a power cut must be seen to lose something, or the other group proves nothing. */
async function control(report: Report, directory: string, plan: Plan): Promise<void> {
  await mkdir(directory)
  const trial = await Trial.begin(directory, plan)
  try {
    await report.check('a power cut takes what was not synced', async () => {
      const losses = await trial.interrupt('cut', plan.bytes / 2)
      report.note(`${losses.length} losses after ${trial.ledger.syncs} syncs that were not sent`)
      expect(losses.length > 0, 'nothing is lost: the power cuts of this suite prove nothing')
    })
  } finally {
    await trial.dispose()
  }
}

async function synced(report: Report, directory: string, plan: Plan, size: Size): Promise<void> {
  await mkdir(directory)
  const trial = await Trial.begin(directory, plan)
  try {
    const interruptions = shuffled(size, plan.seed)
    const share = size.bytes / (interruptions.length + 1)
    for (const [index, kind] of interruptions.entries()) {
      const name = `${kind === 'kill' ? 'SIGKILL' : 'a power cut'} (${index + 1} of ${interruptions.length})`
      const passed = await report.check(name, async () => lossless(await trial.interrupt(kind, share)))
      // A second one would report the first one's losses again.
      if (!passed) return
    }
    await report.check('the whole sparsebundle after the last power cut', async () => {
      lossless(await trial.end())
      const bytes = trial.ledger.bands.size * BAND_BYTES
      expect(trial.lastVerifiedBytes === bytes, `${trial.lastVerifiedBytes} of ${bytes} bytes were compared`)
    })
    const { ledger, verifiedBytes, lastVerifiedBytes, amidSyncs } = trial
    report.note(
      `${size.kills} kills, ${size.cuts + 1} power cuts, ${amidSyncs} of them amid a sync; ${ledger.syncs} full syncs, ` +
        `${ledger.dances} plists renamed into place, ${ledger.bands.size} bands; ` +
        `${ledger.writtenBytes} bytes written, ${verifiedBytes} synced bytes compared, ${lastVerifiedBytes} of them at the end`,
    )
  } finally {
    await trial.dispose()
  }
}

/** @throws CheckError that names what is lost */
function lossless(losses: readonly string[]): void {
  expect(losses.length === 0, `${losses.length} losses:\n${losses.slice(0, shownLosses).join('\n')}`)
}

/** Kills and cuts in an order that the seed decides. */
function shuffled({ kills, cuts }: Size, seed: number): Interruption[] {
  const dice = new Dice(seed)
  const left = { kill: kills, cut: cuts }
  return Array.from({ length: kills + cuts }, () => {
    const kind = dice.below(left.kill + left.cut) < left.kill ? 'kill' : 'cut'
    left[kind] -= 1
    return kind
  })
}
