/**
 * Backups that Windows makes on a share: images (`WindowsImageBackup\COMPUTER`, wbadmin-start-backup) and File History
 * (`FileHistory\USER\COMPUTER`). Each ends with its catalogue, whose time is when that was.
 */

import type { FileSystem } from '../../storage/file-system.ts'
import type { BundleFacts } from './bundle.ts'
import { BUNDLES_MAXIMUM, listFolders, milliseconds, statOf } from './look.ts'

const IMAGES = 'WindowsImageBackup'
const HISTORIES = 'FileHistory'
const IMAGE_CATALOGUES = ['Catalog/GlobalCatalog', 'Catalog/BackupGlobalCatalog']
const HISTORY_CATALOGUES = ['Config1.xml', 'Config2.xml', 'Catalog1.edb', 'Catalog2.edb'].map(
  (file) => `Configuration/${file}`,
)

/** Folders of computers, from the share's root, with "/". */
export async function listImages(fileSystem: FileSystem): Promise<string[]> {
  const computers = await listFolders(fileSystem, IMAGES, '*')
  return computers.map((computer) => `${IMAGES}/${computer}`)
}

/** Likewise, below those of users. */
export async function listHistories(fileSystem: FileSystem): Promise<string[]> {
  const found: string[] = []
  for (const user of await listFolders(fileSystem, HISTORIES, '*')) {
    const computers = await listFolders(fileSystem, `${HISTORIES}/${user}`, '*')
    found.push(...computers.map((computer) => `${HISTORIES}/${user}/${computer}`))
  }
  return found.slice(0, BUNDLES_MAXIMUM)
}

export function readImage(fileSystem: FileSystem, folder: string): Promise<BundleFacts> {
  return read(fileSystem, folder, IMAGE_CATALOGUES)
}

export function readHistory(fileSystem: FileSystem, folder: string): Promise<BundleFacts> {
  return read(fileSystem, folder, HISTORY_CATALOGUES)
}

/** A text that changes with the catalogues. */
export async function catalogueVersion(fileSystem: FileSystem, folder: string): Promise<string> {
  const { completed } = await read(fileSystem, folder, [...IMAGE_CATALOGUES, ...HISTORY_CATALOGUES])
  return String(completed)
}

async function read(
  fileSystem: FileSystem,
  folder: string,
  catalogues: readonly string[],
): Promise<BundleFacts> {
  const stats = await Promise.all(catalogues.map((file) => statOf(fileSystem, `${folder}/${file}`, 'file')))
  const times = stats.flatMap((stat) => (stat === undefined ? [] : [milliseconds(stat.writeTime)]))
  const created = await statOf(fileSystem, folder, 'directory')
  return {
    mac: folder.slice(folder.indexOf('/') + 1).replace('/', ' on '),
    model: undefined,
    created: created === undefined ? 0 : milliseconds(created.birthTime),
    completed: times.length === 0 ? undefined : Math.max(...times),
    bytesCopied: undefined,
    bytesUsed: undefined,
    imageBytes: undefined,
    verificationFailed: false,
    unreadable: [],
  }
}
