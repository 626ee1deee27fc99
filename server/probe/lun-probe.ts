/** Probes what a LUN's disk is on: whether it can be made, locked and given back. Changes nothing. */

import { randomBytes } from 'node:crypto'
import { access, constants, stat, statfs, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { StorageError } from '../../storage/errors.ts'
import { openImage } from '../../storage/image/image.ts'
import { formatSize } from '../config/sizes.ts'
import { imageOf, type LunConfiguration } from '../serve/iscsi-luns.ts'

const PROBE_BYTES = 64 * 1024

export interface LunFault {
  readonly severity: 'error' | 'warning' | 'note'
  readonly message: string
}

const NO_HOLES =
  'cannot punch holes there: what initiators delete keeps its space (ZFS, ext4, xfs and btrfs can)'

/** What is wrong with a LUN, in sentences; none when all is well. */
export async function probeLun(lun: LunConfiguration): Promise<readonly LunFault[]> {
  const { extents } = imageOf(lun)
  const [only] = extents
  const isMissing = only !== undefined && extents.length === 1 && !(await exists(only.path))
  if (isMissing && lun.zvol === undefined && !lun.readOnly && lun.size !== undefined) {
    return await probeFolder(only.path, lun.size, lun.thin)
  }
  if (isMissing && lun.zvol !== undefined && !lun.readOnly && lun.size !== undefined) {
    const message = `there is no volume "${lun.zvol}" yet; the server makes it when it starts`
    return [{ severity: 'note', message }]
  }
  return await probeDisk(lun)
}

/** What is wrong with a target's LUNs together. */
export function probeNumbers(luns: readonly LunConfiguration[]): readonly LunFault[] {
  if (luns.length === 0 || luns.some(({ id }) => id === 0)) return []
  const message = 'it has no LUN 0: Macs and Linux look no further without it; give one of its LUNs id = 0'
  return [{ severity: 'warning', message }]
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}

/** For a file that is made when the server starts. */
async function probeFolder(path: string, size: number, thin: boolean): Promise<LunFault[]> {
  const folder = dirname(path)
  const error = (message: string): LunFault[] => [{ severity: 'error', message }]
  if (!(await exists(folder))) return error(`${folder} does not exist; make it: mkdir -p ${folder}`)
  try {
    await access(folder, constants.W_OK | constants.X_OK)
  } catch {
    return error(`${path} cannot be made: give this user write permission for ${folder}`)
  }
  const space = await statfs(folder)
  const free = space.bavail * space.bsize
  const faults: LunFault[] = []
  if (free < size) {
    const message = `${path} is to have ${formatSize(size)}, and ${folder} has ${formatSize(free)} left; initiators see errors when it is full`
    faults.push({ severity: 'note', message })
  }
  if (thin && !(await canPunchIn(folder))) {
    faults.push({ severity: 'warning', message: `${path}: ${NO_HOLES}` })
  }
  return faults
}

async function canPunchIn(folder: string): Promise<boolean> {
  const path = join(folder, `.poolhouse-probe-${randomBytes(6).toString('hex')}`)
  try {
    const device = await openImage({ extents: [{ path, readOnly: false, size: PROBE_BYTES }] })
    await device.close()
    return device.canDiscard
  } finally {
    await unlink(path).catch(() => undefined)
  }
}

/** For a disk that is there: opened as the server would, without growing it. */
async function probeDisk(lun: LunConfiguration): Promise<LunFault[]> {
  const extents = imageOf(lun).extents.map(({ size: _size, ...extent }) => extent)
  try {
    const device = await openImage({ extents })
    await device.close()
    const faults: LunFault[] = []
    if (lun.thin && !lun.readOnly && !device.canDiscard)
      faults.push({ severity: 'warning', message: NO_HOLES })
    if (lun.size !== undefined && device.size > lun.size) {
      const message = `it has ${formatSize(device.size)}, more than size says (${formatSize(lun.size)}); it is not cut`
      faults.push({ severity: 'note', message })
    }
    if (device.size % lun.blockSize !== 0) {
      const message = `its end is no multiple of block_size (${lun.blockSize}); the last ${device.size % lun.blockSize} bytes are not used`
      faults.push({ severity: 'note', message })
    }
    return faults
  } catch (error) {
    // A server that runs has its disks.
    const isBusy = error instanceof StorageError && error.code === 'busy'
    return [{ severity: isBusy ? 'note' : 'error', message: (error as Error).message }]
  }
}
