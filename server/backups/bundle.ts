/** What the files of one Time Machine bundle say about the backups in it. */

import type { FileSystem } from '../../storage/file-system.ts'
import { BUNDLE_INFO, bundleStem } from '../../storage/sparse-bundle.ts'
import { listFolders, milliseconds, READ, statOf } from './look.ts'
import { member, readPlist } from './plist.ts'
import { PlistError, type PlistValue } from './plist-value.ts'

/** A history of 500 backups takes 200 KB as XML. */
const PLIST_BYTES_MAXIMUM = 2 << 20
const SHOWN_NAME_LENGTH = 120

export const HISTORY_FILE = 'com.apple.TimeMachine.SnapshotHistory.plist'
const RESULTS_FILE = 'com.apple.TimeMachine.Results.plist'
const MACHINE_FILE = 'com.apple.TimeMachine.MachineID.plist'
const COMPLETION = 'com.apple.backupd.SnapshotCompletionDate'
const BYTES_COPIED = 'com.apple.backupd.SnapshotTotalBytesCopied'
/** VerificationState of an image that Time Machine found damaged: it wants to begin anew. */
const VERIFICATION_FAILED = 2n
/** A Mac's clock may be ahead; a date further in the future is none. */
const CLOCK_LEAD_MILLISECONDS = 86_400_000

export interface BackupCompleted {
  readonly share: string
  /** In whose folder, below a `per_user` share. */
  readonly user?: string
  /** The computer's name. */
  readonly mac: string
  /** The bundle's directory in the share's root, or the computer's folder below it. */
  readonly bundle: string
  /** Milliseconds since 1970, by the Mac's clock. */
  readonly completed: number
  /** Bytes that this backup copied, where the Mac wrote that down. */
  readonly bytesCopied: number | undefined
}

/** What is known of a bundle; what its files do not say is undefined. Times in milliseconds since 1970. */
export interface BundleFacts {
  readonly mac: string
  readonly model: string | undefined
  readonly created: number
  /** Of the newest completed backup. */
  readonly completed: number | undefined
  readonly bytesCopied: number | undefined
  /** In the volume of the image, after the last backup. */
  readonly bytesUsed: number | undefined
  /** The image can grow to this many bytes. */
  readonly imageBytes: number | undefined
  readonly verificationFailed: boolean
  /** Files that could not be understood. */
  readonly unreadable: readonly string[]
}

/** The names of the bundles in a share's root. */
export async function listBundles(fileSystem: FileSystem): Promise<string[]> {
  const names = await listFolders(fileSystem, '', '*bundle')
  return names.filter((name) => bundleStem(name) !== undefined)
}

/** A text that changes with the bundle's files. */
export async function versionOf(fileSystem: FileSystem, bundle: string): Promise<string> {
  const versions = [HISTORY_FILE, RESULTS_FILE, MACHINE_FILE, BUNDLE_INFO].map(async (file) => {
    const stat = await statOf(fileSystem, `${bundle}/${file}`, 'file')
    if (stat === undefined) return ''
    const { fileId, size, writeTime, changeTime } = stat
    return `${fileId}.${size}.${writeTime}.${changeTime}`
  })
  return (await Promise.all(versions)).join(' ')
}

/** Reads a bundle's files. @param now milliseconds since 1970 */
export async function readBundle(fileSystem: FileSystem, bundle: string, now: number): Promise<BundleFacts> {
  const unreadable: string[] = []
  const read = async (file: string): Promise<PlistValue | undefined> => {
    try {
      return await readPlistFile(fileSystem, `${bundle}/${file}`)
    } catch (error) {
      if (!(error instanceof PlistError)) throw error
      unreadable.push(file)
      return undefined
    }
  }
  const [history, results, machine, image] = [
    await read(HISTORY_FILE),
    await read(RESULTS_FILE),
    await read(MACHINE_FILE),
    await read(BUNDLE_INFO),
  ]
  const newest = newestBackup(history, now + CLOCK_LEAD_MILLISECONDS)
  return {
    mac: macName(bundle, machine),
    model: textOf(member(machine, 'com.apple.backupd.ModelID')),
    created: await creationTime(fileSystem, bundle),
    completed: newest?.completed,
    bytesCopied: newest?.bytesCopied,
    bytesUsed: bytesOf(member(results, 'BytesUsed')),
    imageBytes: bytesOf(member(image, 'size')),
    verificationFailed:
      member(machine, 'VerificationState') === VERIFICATION_FAILED ||
      member(machine, 'RecoveryBackupDeclinedDate') !== undefined,
    unreadable,
  }
}

/** @returns undefined when there is no such file. @throws PlistError when it is no property list, or too long */
async function readPlistFile(fileSystem: FileSystem, path: string): Promise<PlistValue | undefined> {
  const outcome = await fileSystem.open({ ...READ, path, kind: 'file' })
  if (!outcome.ok) return undefined
  const { handle, stat } = outcome
  try {
    if (stat.type !== 'file' || stat.size > PLIST_BYTES_MAXIMUM) throw new PlistError('not a small file')
    const bytes = Buffer.alloc(stat.size)
    return readPlist(bytes.subarray(0, await handle.read(bytes, 0)))
  } finally {
    await handle.close()
  }
}

async function creationTime(fileSystem: FileSystem, bundle: string): Promise<number> {
  const stat = await statOf(fileSystem, bundle, 'directory')
  return stat === undefined ? 0 : milliseconds(stat.birthTime)
}

/** The history is thinned by the Mac: its length says nothing, its newest entry does. */
function newestBackup(
  history: PlistValue | undefined,
  latest: number,
): { completed: number; bytesCopied: number | undefined } | undefined {
  const snapshots = member(history, 'Snapshots')
  if (!Array.isArray(snapshots)) return undefined
  let newest: { completed: number; bytesCopied: number | undefined } | undefined
  for (const snapshot of snapshots as readonly PlistValue[]) {
    const date = member(snapshot, COMPLETION)
    if (!(date instanceof Date)) continue
    const completed = date.getTime()
    if (completed > latest || completed <= (newest?.completed ?? 0)) continue
    newest = { completed, bytesCopied: bytesOf(member(snapshot, BYTES_COPIED)) }
  }
  return newest
}

function macName(bundle: string, machine: PlistValue | undefined): string {
  return (
    textOf(member(machine, 'com.apple.backupd.ComputerName')) ??
    (bundleStem(bundle) ?? bundle).slice(0, SHOWN_NAME_LENGTH)
  )
}

function textOf(value: PlistValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, SHOWN_NAME_LENGTH) : undefined
}

function bytesOf(value: PlistValue | undefined): number | undefined {
  return typeof value === 'bigint' && value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : undefined
}
