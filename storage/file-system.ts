/** The file store under the protocols (the object store of MS-FSA 2.1.1, on POSIX terms): what every backend offers. Imports nothing but its errors. */

import type { StorageErrorCode } from './errors.ts'

/** The account on whose behalf the kernel checks access; absent: the server's own user. */
export interface Identity {
  readonly uid: number
  readonly gid: number
  /** Supplementary groups. */
  readonly groups: readonly number[]
}

/** The last four hold no data here: they are shown, and nothing more. */
export type FileType =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'fifo'
  | 'socket'
  | 'characterDevice'
  | 'blockDevice'

/** Nanoseconds since 1970 UTC, negative before. */
export type Nanoseconds = bigint

/** DOS attributes that are stored, as MS-FSCC 2.6 numbers them. Derived bits (DIRECTORY, NORMAL, REPARSE_POINT) never occur. */
export const DosAttribute = {
  readonly: 0x1,
  hidden: 0x2,
  system: 0x4,
  archive: 0x20,
  temporary: 0x100,
  sparse: 0x200,
  compressed: 0x800,
  offline: 0x1000,
  notContentIndexed: 0x2000,
} as const

/** What is known of a file, or of one named stream of it (then `size` and `allocated` are the stream's). */
export interface FileStat {
  /** Identifies the file within its file system; unique together with `volumeId`. Stable over renames and restarts. */
  readonly fileId: bigint
  readonly volumeId: bigint
  readonly type: FileType
  /** POSIX permission bits with set-id and sticky bits (07777). */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly links: number
  /** Bytes up to the end of file. 0 for directories. */
  readonly size: number
  /** Bytes occupied, 0 for directories, at least `size` rounded up for a file not flagged sparse (see windows.md: VHD files). */
  readonly allocated: number
  /** Bytes that it really takes of the disk, whatever clients are shown: holes take none, directories what they need. */
  readonly occupied: number
  readonly birthTime: Nanoseconds
  readonly accessTime: Nanoseconds
  readonly writeTime: Nanoseconds
  readonly changeTime: Nanoseconds
  /** Bits of DosAttribute. */
  readonly dosAttributes: number
  /** Bytes of the extended attributes as FILE_FULL_EA_INFORMATION counts them; 0 when none. */
  readonly eaSize: number
}

/** What the acting identity could do, by mode bits and ACLs of the file system. */
export interface Permissions {
  readonly read: boolean
  readonly write: boolean
  readonly execute: boolean
  /** Is the owner (or root), who may change mode, times and ownership. */
  readonly owner: boolean
  /** May remove or rename the entry: write permission in its directory, sticky bit regarded. */
  readonly remove: boolean
}

export type Disposition = 'open' | 'create' | 'open-if'

export interface OpenRequest {
  /** As the client wrote it: components separated by '/', relative to the share, '' for its root. Case is matched as MS-FSA says. */
  readonly path: string
  /** POSIX' rule instead: only the exact name is found. */
  readonly posixNames?: boolean
  /** A named stream's name without ':' and type; absent: the file itself. */
  readonly stream?: string
  readonly identity: Identity | undefined
  /** Overwriting dispositions open first (share modes decide in between) and then call `overwrite`. */
  readonly disposition: Disposition
  /** A named stream without bytes counts as missing, as it does for Macs. AFP_AfpInfo and AFP_Resource always do. */
  readonly ignoreEmptyStreams?: boolean
  /** What the client insists on. */
  readonly kind: 'file' | 'directory' | 'any'
  /** false: a final symbolic link itself is opened (FILE_OPEN_REPARSE_POINT). */
  readonly followLinks: boolean
  /** Data access that reads or writes on this handle will need; neither: attributes only. */
  readonly read: boolean
  readonly write: boolean
  /** What it denies to netatalk, whose opens are asked and told in the way of netatalk; absent: they are not. Of file data alone. */
  readonly denies?: { readonly reading: boolean; readonly writing: boolean }
  /** What a new file or directory begins with. */
  readonly create: {
    /** POSIX mode, before nothing else: masks are already applied. */
    readonly mode: number
    readonly dosAttributes: number
    /** Owner when it must differ from the identity (force_user). */
    readonly owner?: { readonly uid: number; readonly gid: number }
    /** Stored with it from the first moment on; see `setSecurityDescriptor`. */
    readonly securityDescriptor?: Buffer
    /**
     * The descriptor stored with the directory, as far as the caller knows: what is made there
     * inherits. With another one `wantPermissions` makes nothing, and the outcome is 'unheeded'.
     */
    readonly heeded?: Buffer
  }
  /** Fill in `permissions` and the stored descriptors (costs a few system calls). */
  readonly wantPermissions: boolean
}

export type OpenOutcome =
  | {
      readonly ok: true
      readonly handle: FileHandle
      /** Of the named stream, where one was asked for. */
      readonly created: boolean
      /** The file itself was made. */
      readonly fileCreated: boolean
      /** With the names as they are stored (case, Unicode form), '/'-separated; '' for the root. */
      readonly path: string
      /** The named stream's name as it is stored; absent: the file itself. */
      readonly stream?: string | undefined
      readonly stat: FileStat
      readonly permissions?: Permissions | undefined
      /** Stored earlier by `setSecurityDescriptor`, with a file that existed. */
      readonly securityDescriptor?: Buffer | undefined
      /** Stored with the directory of a file that existed, whose entry may be removed. */
      readonly parentDescriptor?: Buffer | undefined
    }
  | {
      readonly ok: false
      readonly error: StorageErrorCode
      /** With 'unheeded': the directory's. */
      readonly parentDescriptor?: Buffer | undefined
    }

/** Attributes to change; what is absent stays. */
export interface AttributeChanges {
  readonly birthTime?: Nanoseconds
  readonly accessTime?: Nanoseconds
  readonly writeTime?: Nanoseconds
  /** Holds until the file is changed; where it cannot be kept it is passed over. */
  readonly changeTime?: Nanoseconds
  readonly dosAttributes?: number
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
}

/** What happened to an entry of a watched directory, by whomever: names as clients see them, with '/' where it is deeper. */
export type LocalChange =
  | {
      readonly kind: 'added' | 'removed' | 'written' | 'attributes'
      readonly name: string
      readonly isDirectory: boolean
    }
  | { readonly kind: 'renamed'; readonly name: string; readonly to: string; readonly isDirectory: boolean }
  /** More happened than could be kept. */
  | { readonly kind: 'lost' }
  /** Some directories below are not watched: too many. */
  | { readonly kind: 'incomplete' }

/** What Macs keep in the streams AFP_AfpInfo and AFP_Resource. */
export interface MacMetadata {
  readonly resourceForkBytes: number
  /** 32 bytes, big-endian as on a Mac's disk; absent when there is no AFP_AfpInfo. */
  readonly finderInfo?: Uint8Array
}

/** A name in a directory with what a listing shows of it. */
export interface DirectoryEntry {
  /** As the client sees it. '.' and '..' come first. */
  readonly name: string
  /** 8.3 name, '' when the name is one already. */
  readonly shortName: string
  readonly stat: FileStat
  /** For a symbolic link that is shown as such. */
  readonly linkTarget?: string
  /** The stored one, where ListRequest asks for it. */
  readonly securityDescriptor?: Buffer
  /** Where ListRequest.details asks for them. */
  readonly permissions?: Permissions
  /** Likewise; absent when the entry has no named streams. */
  readonly mac?: MacMetadata
}

export interface StreamEntry {
  /** Without ':' and type; '' for the unnamed data stream. */
  readonly name: string
  readonly size: number
  readonly allocated: number
}

export interface ExtendedAttribute {
  /** Latin letters as EA names are, without the file system's `user.` prefix. */
  readonly name: string
  readonly value: Buffer
}

export interface ByteRange {
  readonly offset: number
  readonly length: number
}

/** A listing in progress; the names are those of the moment it began. */
export interface DirectoryCursor {
  /**
   * The next entries, at most `count`; empty at the end.
   * Entries that vanished since, or that the identity may not see, are left out.
   */
  next(count: number): Promise<readonly DirectoryEntry[]>
  close(): Promise<void>
}

export interface ListRequest {
  /**
   * Names are given as they are on disk, without the private characters for those that SMB forbids, and
   * symbolic links are shown as such, wherever they lead.
   */
  readonly posixNames?: boolean
  /** MS-FSA 2.1.4.4 expression with its DOS wildcards; '*' for all. */
  readonly pattern: string
  /** Leave out what the identity cannot read (access-based enumeration), and tell the stored descriptors of the rest. */
  readonly hideUnreadable: boolean
  /** Tell of each entry the permissions, the stored descriptor and what Macs keep with it, in the same trips. */
  readonly details?: boolean
}

export interface RenameRequest {
  /** New path from the share's root, with the case the new name shall have. */
  readonly to: string
  readonly replace: boolean
  /** As in OpenRequest. */
  readonly posixNames?: boolean
}

/**
 * One open file, directory or named stream. Methods reject with StorageError.
 * Data calls act with the access the handle was opened with; the others as the identity it was opened by.
 */
export interface FileHandle {
  /** Fills `target` from `position`; fewer bytes only at the end of the file. Returns the bytes read. */
  read(target: Buffer, position: number): Promise<number>
  /** Writes all of `source`, a view that stays untouched until this resolves. */
  write(source: Buffer, position: number): Promise<void>
  /** Returns when data and metadata are on the disk (fsync); for a directory its entries. */
  flush(): Promise<void>
  /** Returns when the directory that holds the entry is on the disk too: the file is found there after a power cut. */
  flushEntry(): Promise<void>
  stat(): Promise<FileStat>
  /** Empties file (and, for the unnamed stream, removes its named streams) and sets new attributes: FILE_OVERWRITE and FILE_SUPERSEDE. */
  overwrite(dosAttributes: number): Promise<FileStat>
  change(changes: AttributeChanges): Promise<FileStat>
  /** Sets the end of file, in bytes. */
  setSize(size: number): Promise<void>
  /** Reserves space, or below the end of file cuts it (FileAllocationInformation). */
  setAllocation(bytes: number): Promise<void>
  /** Makes a range read as zeros, deallocating it where possible; the end of file stays. */
  zeroRange(range: ByteRange): Promise<void>
  /** Parts of a range that are not holes, in order, at most `limit`. */
  allocatedRanges(range: ByteRange, limit: number): Promise<readonly ByteRange[]>
  /** Copies on the server, sharing blocks where the file system can. Returns the bytes copied; fewer at the source's end. */
  copyFrom(source: FileHandle, from: ByteRange, to: number): Promise<number>
  /** Shares blocks or fails with 'not-supported' (FSCTL_DUPLICATE_EXTENTS_TO_FILE). */
  cloneFrom(source: FileHandle, from: ByteRange, to: number): Promise<void>
  streams(): Promise<readonly StreamEntry[]>
  extendedAttributes(): Promise<readonly ExtendedAttribute[]>
  /** An empty value removes the attribute. */
  setExtendedAttributes(attributes: readonly ExtendedAttribute[]): Promise<void>
  /** A self-relative security descriptor stored earlier, byte for byte; undefined when none was. */
  securityDescriptor(): Promise<Buffer | undefined>
  /** Acts as the server: a stored descriptor may give others than the owner the right to change it. */
  setSecurityDescriptor(descriptor: Buffer): Promise<void>
  /** Compression flag of the file system. @throws 'not-supported' where it has none */
  compressed(): Promise<boolean>
  setCompressed(enabled: boolean): Promise<void>
  /** Target text of a symbolic link. */
  readLink(): Promise<string>
  /** Turns an empty file or directory into a symbolic link. */
  makeLink(target: string): Promise<void>
  list(request: ListRequest): Promise<DirectoryCursor>
  /**
   * Reports what happens to the entries of this directory, also what the handles of this file system do themselves,
   * which may come twice or somewhat later: the caller knows its own.
   * @param recursive also deeper, as soon as the directories below have been looked through
   * @returns how to stop; undefined where changes cannot be watched, or not of so many directories
   */
  watch(
    listener: (change: LocalChange) => void,
    recursive: boolean,
  ): Promise<(() => Promise<void>) | undefined>
  /** Moves the entry; for a stream, renames the stream. Returns the path as stored. */
  rename(request: RenameRequest): Promise<string>
  /** Adds a second name (hard link). */
  link(request: RenameRequest): Promise<void>
  /** Removes the entry (or the stream); the handle stays usable until it is closed. */
  remove(): Promise<void>
  /** The path from the share's root as it is now, also after a directory above was renamed by whomever. */
  path(): Promise<string>
  /** 8.3 name of the entry. */
  shortName(): Promise<string>
  close(): Promise<void>
}

/** Space of the file system, in bytes. */
export interface SpaceInfo {
  readonly blockSize: number
  readonly total: number
  readonly free: number
  /** What an ordinary user may still use. */
  readonly available: number
}

/** What a backend can do; protocols announce no more than this. */
export interface Features {
  /** Named streams, EAs, DOS attributes and birth times can be stored. */
  readonly extendedAttributes: boolean
  readonly caseSensitive: boolean
  /** Holes can be punched and found. */
  readonly sparse: boolean
  /** Blocks can be shared between files. */
  readonly clone: boolean
  readonly compression: boolean
  readonly symbolicLinks: boolean
  /** Largest named stream, bytes. */
  readonly maximumStreamBytes: number
  /** Longest name of a component, UTF-16 units. */
  readonly maximumNameUnits: number
}

/** One share's tree. */
export interface FileSystem {
  readonly features: Features
  /** Identifies the volume, stable over restarts (MS-FSCC 2.5.10 VolumeSerialNumber is made of it). */
  readonly volumeId: bigint
  /** Opens, and creates when the disposition says so, in one trip. Expected failures are returned, not thrown. */
  open(request: OpenRequest): Promise<OpenOutcome>
  space(): Promise<SpaceInfo>
  /**
   * Adds up what everything in the tree occupies, a file with several names once. It goes some hundred entries at a time, so
   * that others get their turn; what changes meanwhile is counted as it was or as it is.
   * @param goesOn told the sum so far; answers whether to go on
   * @param metBands told how many bands of a sparse bundle in the root were met; further ones of the same bundle add up
   * @returns bytes; undefined when it was stopped
   */
  occupied(
    goesOn: (soFar: number) => boolean,
    metBands?: (bundle: string, bands: number) => void,
  ): Promise<number | undefined>
  /** Waits for what is under way and lets go of all resources. */
  close(): Promise<void>
}
