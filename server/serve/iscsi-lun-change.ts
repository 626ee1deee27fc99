/** What a reload changes of a target's LUNs while initiators use it: some go, some come, some grow. */

import type { LogicalUnitOptions } from '../../protocols/iscsi/scsi/logical-unit.ts'
import type { ChangingTarget } from '../../protocols/iscsi/scsi/target.ts'
import { StorageError } from '../../storage/errors.ts'
import type { TargetConfiguration } from '../config/types.ts'
import { closeUnits, type LunConfiguration, openUnit, type ScsiTargetSettings } from './iscsi-luns.ts'

/** The steps of one target's change, in this order; between `remove` and `add` it can be undone. */
export interface LunChange {
  /** Closes what is not there any more. */
  remove(): Promise<void>
  /** Opens what is new, and looks which others have grown. @throws Error in words for the owner */
  open(settings: ScsiTargetSettings): Promise<void>
  /** What was opened can be had from now on. */
  add(): void
  /** What was removed is there again; the log tells what cannot be had. A disk that has grown stays so. */
  undo(settings: ScsiTargetSettings): Promise<void>
}

/** @returns undefined when a LUN becomes another disk: initiators may not go on as if it were the same */
export function lunChange(
  scsi: ChangingTarget,
  from: TargetConfiguration,
  to: TargetConfiguration,
): LunChange | undefined {
  const kept = to.lun.filter((lun) => from.lun.some(({ id }) => id === lun.id))
  const areSame = kept.every((lun) => from.lun.some((old) => isSameDisk(old, lun)))
  if (!areSame) return undefined
  const isKept = (lun: LunConfiguration): boolean => kept.some(({ id }) => id === lun.id)
  const gone = from.lun.filter((lun) => !isKept(lun))
  const fresh = to.lun.filter((lun) => !isKept(lun))
  const removed: LunConfiguration[] = []
  const opened: LogicalUnitOptions[] = []
  return {
    async remove() {
      for (const lun of gone) {
        removed.push(lun)
        await scsi.remove(lun.id)
      }
    },
    async open(settings) {
      for (const lun of fresh) opened.push(await openUnit(to, lun, settings))
      for (const { id, size } of kept) await scsi.refresh(id, size).catch(unlessNotReady)
    },
    add() {
      for (const unit of opened) scsi.add(unit)
    },
    async undo(settings) {
      await closeUnits(opened)
      for (const lun of removed) {
        try {
          scsi.add(await openUnit(from, lun, settings))
        } catch (error) {
          settings.log('error', `LUN ${lun.id} is not served: ${(error as Error).message}`, {
            target: from.name,
          })
        }
      }
    },
  }
}

function diskOf(lun: LunConfiguration): Partial<LunConfiguration> {
  const { size: _size, volblocksize: _blocks, snapshotEvery: _every, ...disk } = lun
  return disk
}

/** A disk of a pool that is suspended stays as it was. */
function unlessNotReady(error: unknown): void {
  if (!(error instanceof StorageError && error.code === 'not-ready')) throw error
}

/** The size may differ: a disk grows in place. The blocks of a volume are what they are since it was made. */
function isSameDisk(one: LunConfiguration, other: LunConfiguration): boolean {
  return JSON.stringify(diskOf(one)) === JSON.stringify(diskOf(other))
}
