/** zfsprops(7): volumes, which are disks on a pool: made sparse, and grown. */

import { type CommandRunner, parseNumber, parseRows, runZfs, ZfsError } from './command.ts'

export interface Volume {
  readonly name: string
  /** Bytes that its disk has. */
  readonly volsize: number
  /** Bytes of its blocks, fixed when it is made. */
  readonly volblocksize: number
  /** Its key is not loaded: there is no disk then. */
  readonly isLocked: boolean
  /** Bytes that the pool keeps free for it; 0: it is sparse. */
  readonly reserved: number
}

const COLUMNS = 'name,volsize,volblocksize,keystatus,refreservation'
/** What OpenZFS 2.2 takes unless told otherwise; a multiple of what earlier ones take. */
const USUAL_BLOCK_BYTES = 16_384

/** @returns undefined when there is no such dataset @throws ZfsError */
export async function readVolume(run: CommandRunner, name: string): Promise<Volume | undefined> {
  try {
    const [row] = parseRows(await runZfs(run, 'zfs', ['list', '-Hp', '-t', 'volume', '-o', COLUMNS, name]))
    return row === undefined ? undefined : volumeOf(row)
  } catch (error) {
    if (error instanceof ZfsError && error.code === 'not-found') return undefined
    throw error
  }
}

function volumeOf(row: readonly string[]): Volume {
  const [name = '', volsize, volblocksize, keyStatus, reserved] = row
  return {
    name,
    volsize: parseNumber(volsize) ?? 0,
    volblocksize: parseNumber(volblocksize) ?? 0,
    isLocked: keyStatus === 'unavailable',
    reserved: parseNumber(reserved) ?? 0,
  }
}

export interface NewVolume {
  readonly name: string
  /** Bytes, at least. */
  readonly size: number
  /** undefined: what the pool takes. */
  readonly volblocksize: number | undefined
}

/** Makes a volume that takes only what is written to it, and the datasets above it. @throws ZfsError */
export async function createVolume(run: CommandRunner, volume: NewVolume): Promise<void> {
  const { name, size, volblocksize } = volume
  const properties = [
    'compression=lz4',
    ...(volblocksize === undefined ? [] : [`volblocksize=${volblocksize}`]),
  ]
  const volsize = wholeBlocks(size, volblocksize ?? USUAL_BLOCK_BYTES)
  const options = properties.flatMap((each) => ['-o', each])
  await runZfs(run, 'zfs', ['create', '-s', '-p', ...options, '-V', String(volsize), name])
}

/** Makes it longer; what is long enough stays as it is, as cutting would lose data. @throws ZfsError */
export async function growVolume(run: CommandRunner, volume: Volume, size: number): Promise<void> {
  if (size <= volume.volsize) return
  const volsize = wholeBlocks(size, volume.volblocksize || USUAL_BLOCK_BYTES)
  await runZfs(run, 'zfs', ['set', `volsize=${volsize}`, volume.name])
}

/** zfs-allow(8): what a user needs on the dataset above to make one as `createVolume` does. Its own block size and size need no right. */
export const CREATE_RIGHTS = ['create', 'mount', 'compression']

/** What a user needs to make it as long as this. What is reserved for one that is not sparse grows with it. */
export function growRights(volume: Volume, size: number): string[] {
  if (size <= volume.volsize) return []
  return ['volsize', ...(volume.reserved > 0 ? ['refreservation'] : [])]
}

/** A volume has no part of a block. */
function wholeBlocks(size: number, block: number): number {
  return Math.ceil(size / block) * block
}
