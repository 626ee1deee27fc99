/** What main thread and workers both know of a share. */

import { toClient } from '../names/sfm.ts'
import { wellFormed } from './disk-name.ts'

/** 'native': the disk has the characters themselves; 'private': what clients send, U+F001 to U+F029. */
export type NameMapping = 'native' | 'private'

/** Where new AFP_AfpInfo goes: an attribute of Samba's streams_xattr, or netatalk's. */
export type MacMetadataFormat = 'stream' | 'netatalk'
/** Where new AFP_Resource goes: the same, netatalk's attribute, or a sidecar ._NAME, which takes any size. */
export type MacResourceFormat = 'stream' | 'xattr' | 'file'

export interface Share {
  readonly id: number
  /** Descriptor of the root, opened with O_PATH; shared by all threads of the process. */
  readonly root: number
  readonly nameMapping: NameMapping
  readonly extendedAttributes: boolean
  /** Compression can be switched on file by file. */
  readonly compression: boolean
  /** Largest named stream. */
  readonly maximumStreamBytes: number
  /** AFP_AfpInfo and AFP_Resource have Apple's rules, and are looked for in other formats; false: they are streams like others. */
  readonly macStreams: boolean
  readonly macMetadata: MacMetadataFormat
  readonly macResource: MacResourceFormat
  /** Sidecars ._NAME of files that exist are not listed. */
  readonly hidesSidecars: boolean
}

/** A path's directory and last component; of the root '' and ''. */
export function splitPath(path: string): {
  readonly parent: string
  readonly name: string
} {
  const at = path.lastIndexOf('/')
  return at < 0 ? { parent: '', name: path } : { parent: path.slice(0, at), name: path.slice(at + 1) }
}

/** What clients see of a name on disk. */
export function clientName(share: Pick<Share, 'nameMapping'>, diskName: string): string {
  const name = wellFormed(diskName)
  return share.nameMapping === 'native' ? toClient(name) : name
}
