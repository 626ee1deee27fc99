/** A target's disks: opens what the configuration names and makes a SCSI target of them. */

import { mendTornWrite } from '../../protocols/iscsi/scsi/atomic-write.ts'
import { identityOf } from '../../protocols/iscsi/scsi/identity.ts'
import type { LogicalUnitOptions } from '../../protocols/iscsi/scsi/logical-unit.ts'
import {
  type ChangingTarget,
  createScsiTarget,
  type ReservationStore,
} from '../../protocols/iscsi/scsi/target.ts'
import { BufferPool } from '../../protocols/transport/buffer-pool.ts'
import type { Environment } from '../../protocols/transport/engine.ts'
import type { BlockDevice } from '../../storage/block-device.ts'
import { type ImageOptions, openImage } from '../../storage/image/image.ts'
import type { Lane } from '../../storage/lane.ts'
import type { TargetConfiguration } from '../config/types.ts'
import { openReservations } from '../state/reservations.ts'
import { undoFile } from '../state/undo-log.ts'
import { volumePath } from '../zfs/volume-targets.ts'

export type LunConfiguration = TargetConfiguration['lun'][number]

/** Disks of ours are 512e unless told otherwise: what all initiators take. */
const DEFAULT_PHYSICAL_BYTES = 4096

export interface ScsiTargetSettings {
  readonly stateDirectory: string
  readonly environment: Environment
  readonly log: (level: 'warn' | 'error', message: string, fields?: object) => void
  /** Relative identifiers of the target's ports: its portal group tags. Default: 1. */
  readonly relativeTargetPorts?: readonly number[]
  /** Where buffers for Data-In come from; absent: a pool of its own. */
  readonly buffers?: BufferPool
  /** The way to the disks of a file or device; absent: one that never stops. */
  readonly laneFor?: (path: string) => Promise<Lane>
  /** Instead of the state directory. */
  readonly store?: ReservationStore
}

/**
 * Locks and opens all disks of a target; `close` of the result syncs and closes them.
 *
 * @throws Error in words for the owner, when a disk cannot be opened; none is open then
 */
export async function openScsiTarget(
  target: TargetConfiguration,
  settings: ScsiTargetSettings,
): Promise<ChangingTarget> {
  const store = settings.store ?? (await openReservations(settings.stateDirectory, target.name))
  const buffers = settings.buffers ?? new BufferPool()
  const units: LogicalUnitOptions[] = []
  try {
    for (const lun of target.lun) units.push(await openUnit(target, lun, settings))
  } catch (error) {
    await closeUnits(units)
    throw error
  }
  return createScsiTarget({
    name: target.name,
    units,
    relativeTargetPorts: settings.relativeTargetPorts ?? [1],
    acquire: (bytes) => buffers.acquire(bytes),
    after: (milliseconds, run) => void settings.environment.after(milliseconds, run),
    store,
    log: (level, message, fields) => settings.log(level, message, { target: target.name, ...fields }),
  })
}

/**
 * Locks and opens one disk of a target; what a power cut has torn of an atomic write is mended first.
 *
 * @throws Error in words for the owner
 */
export async function openUnit(
  target: TargetConfiguration,
  lun: LunConfiguration,
  { stateDirectory, log, laneFor }: ScsiTargetSettings,
): Promise<LogicalUnitOptions> {
  const device = await openLun(lun, target.name, laneFor)
  if (lun.readOnly) return unitOf(target, lun, device)
  const undo = undoFile(stateDirectory, target.name, lun.id)
  try {
    const record = await undo.load()
    if (record !== undefined) {
      const found = await mendTornWrite(device, record)
      if (found !== 'whole') log('warn', MENDED[found], { target: target.name, lun: lun.id })
      await undo.forget()
    }
  } catch (error) {
    await device.close()
    throw new Error(`target "${target.name}", LUN ${lun.id}: ${(error as Error).message}`, { cause: error })
  }
  return { ...unitOf(target, lun, device), undoLog: undo }
}

const MENDED = {
  undone: 'a power cut had torn an atomic write of a LUN; what was there before is there again',
  foreign:
    'an atomic write of a LUN did not end, and others have written there since: nothing was changed; check what is on the LUN',
} as const

/** Those that no target has taken over. */
export async function closeUnits(units: readonly LogicalUnitOptions[]): Promise<void> {
  await Promise.allSettled(units.map((unit) => unit.device.close()))
}

/** What a LUN's disk is made of. */
export function imageOf(lun: LunConfiguration): ImageOptions {
  const { readOnly } = lun
  if (lun.extents !== undefined) return { extents: lun.extents.map((extent) => ({ ...extent, readOnly })) }
  if (lun.zvol !== undefined) return { extents: [{ path: volumePath(lun.zvol), readOnly }] }
  const size = lun.size === undefined ? {} : { size: lun.size }
  return { extents: [{ path: lun.path ?? '', readOnly, ...size }] }
}

async function openLun(
  lun: LunConfiguration,
  target: string,
  laneFor: ScsiTargetSettings['laneFor'],
): Promise<BlockDevice> {
  try {
    const extents = imageOf(lun).extents.map(async (extent) => {
      const lane = await laneFor?.(extent.path)
      return lane === undefined ? extent : { ...extent, lane }
    })
    const device = await openImage({ extents: await Promise.all(extents) })
    if (device.size >= lun.blockSize) return device
    await device.close()
    throw new Error(`it has ${device.size} bytes, less than one block of ${lun.blockSize}`)
  } catch (error) {
    throw new Error(`target "${target}", LUN ${lun.id}: ${(error as Error).message}`, { cause: error })
  }
}

function unitOf(target: TargetConfiguration, lun: LunConfiguration, device: BlockDevice): LogicalUnitOptions {
  return {
    id: lun.id,
    device,
    identity: identityOf(`${target.name} ${lun.id}`),
    blockSize: lun.blockSize === 4096 ? 4096 : 512,
    physicalBlockSize: lun.physicalBlockSize ?? Math.max(DEFAULT_PHYSICAL_BYTES, lun.blockSize),
    readOnly: lun.readOnly,
    removable: lun.removable,
    thin: lun.thin,
  }
}
