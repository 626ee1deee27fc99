/** MS-FSCC 2.4: File Information Classes: their numbers, their sizes, and the neutral description of an open file they are made from. */

export const FileInformationClass = {
  Directory: 1,
  FullDirectory: 2,
  BothDirectory: 3,
  Basic: 4,
  Standard: 5,
  Internal: 6,
  Ea: 7,
  Access: 8,
  Name: 9,
  Rename: 10,
  Link: 11,
  Names: 12,
  Disposition: 13,
  Position: 14,
  FullEa: 15,
  Mode: 16,
  Alignment: 17,
  All: 18,
  Allocation: 19,
  EndOfFile: 20,
  AlternateName: 21,
  Stream: 22,
  Pipe: 23,
  PipeLocal: 24,
  Compression: 28,
  NetworkOpen: 34,
  AttributeTag: 35,
  IdBothDirectory: 37,
  IdFullDirectory: 38,
  ValidDataLength: 39,
  ShortName: 40,
  NormalizedName: 48,
  StandardLink: 54,
  Id: 59,
  IdExtdDirectory: 60,
  IdExtdBothDirectory: 63,
  DispositionEx: 64,
  RenameEx: 65,
  /** POSIX-FSCC FilePosixInformation, of files and in listings. */
  Posix: 100,
} as const

/** FILETIMEs of a file, as MS-FSCC 2.4.7 names them. */
export interface FileTimes {
  readonly creationTime: bigint
  readonly lastAccessTime: bigint
  readonly lastWriteTime: bigint
  readonly changeTime: bigint
}

/** One data stream, for FileStreamInformation. */
export interface StreamInformation {
  /** With its leading colon and type: `::$DATA`, `:name:$DATA`. */
  readonly streamName: string
  /** Bytes. */
  readonly streamSize: number
  /** Bytes. */
  readonly streamAllocationSize: number
}

/** What FileAllInformation and the classes contained in it say of an open. */
export interface FileInformation extends FileTimes {
  /** Bits of FileAttribute; 0 never occurs, NORMAL stands for "none". */
  readonly fileAttributes: number
  /** Bytes. */
  readonly allocationSize: number
  /** Bytes. */
  readonly endOfFile: number
  readonly numberOfLinks: number
  readonly deletePending: boolean
  readonly directory: boolean
  /** FileId: identifies the file within its volume. */
  readonly indexNumber: bigint
  /** VolumeSerialNumber of FileIdInformation. */
  readonly volumeSerialNumber: bigint
  /** Bytes of the extended attributes, in FILE_FULL_EA_INFORMATION form. */
  readonly eaSize: number
  /** Access that was granted to the open. */
  readonly accessFlags: number
  readonly currentByteOffset: number
  /** Bits of MODE_INFORMATION_MASK. */
  readonly mode: number
  readonly alignmentRequirement: number
  /** Path from the share's root, `\` between components and none before the first; a named stream follows as `:name`. */
  readonly fileName: string
  /** 8.3 name of the last component. */
  readonly alternateName: string
  /** ReparseTag when FileAttribute.REPARSE_POINT is set, otherwise 0. */
  readonly reparseTag: number
  /** COMPRESSION_FORMAT_* of FileCompressionInformation. */
  readonly compressionFormat: number
}

/** How large a class's structure is when queried. */
export interface ClassSize {
  /**
   * Bytes below which a query is answered with STATUS_INFO_LENGTH_MISMATCH. For a structure that ends
   * in a name MS-FSA counts its first character and the alignment in.
   */
  readonly minimumBytes: number
  /** May be longer: what does not fit is cut off, and the answer is STATUS_BUFFER_OVERFLOW. */
  readonly variable?: true
}

/** The classes that QUERY_INFO can ask for, with their sizes (MS-FSA 2.1.5.12). */
export const QUERY_FILE_INFORMATION_SIZES: ReadonlyMap<number, ClassSize> = new Map<number, ClassSize>([
  [FileInformationClass.Basic, { minimumBytes: 40 }],
  [FileInformationClass.Standard, { minimumBytes: 24 }],
  [FileInformationClass.Internal, { minimumBytes: 8 }],
  [FileInformationClass.Ea, { minimumBytes: 4 }],
  [FileInformationClass.Access, { minimumBytes: 4 }],
  [FileInformationClass.Name, { minimumBytes: 8, variable: true }],
  [FileInformationClass.Position, { minimumBytes: 8 }],
  [FileInformationClass.FullEa, { minimumBytes: 8, variable: true }],
  [FileInformationClass.Mode, { minimumBytes: 4 }],
  [FileInformationClass.Alignment, { minimumBytes: 4 }],
  [FileInformationClass.All, { minimumBytes: 104, variable: true }],
  [FileInformationClass.AlternateName, { minimumBytes: 8, variable: true }],
  [FileInformationClass.Stream, { minimumBytes: 32, variable: true }],
  [FileInformationClass.Pipe, { minimumBytes: 8 }],
  [FileInformationClass.PipeLocal, { minimumBytes: 40 }],
  [FileInformationClass.Compression, { minimumBytes: 16 }],
  [FileInformationClass.NetworkOpen, { minimumBytes: 56 }],
  [FileInformationClass.AttributeTag, { minimumBytes: 8 }],
  [FileInformationClass.NormalizedName, { minimumBytes: 8, variable: true }],
  [FileInformationClass.StandardLink, { minimumBytes: 12 }],
  [FileInformationClass.Id, { minimumBytes: 24 }],
  [FileInformationClass.Posix, { minimumBytes: 112 }],
])

/**
 * Bytes of the fixed part of what SET_INFO takes (MS-FSA 2.1.5.15): a shorter buffer is answered with
 * STATUS_INFO_LENGTH_MISMATCH, before it is decoded.
 */
export const SET_FILE_INFORMATION_MINIMUM_BYTES: ReadonlyMap<number, number> = new Map<number, number>([
  [FileInformationClass.Basic, 40],
  [FileInformationClass.Rename, 20],
  [FileInformationClass.Link, 20],
  [FileInformationClass.Disposition, 1],
  [FileInformationClass.Position, 8],
  [FileInformationClass.FullEa, 8],
  [FileInformationClass.Mode, 4],
  [FileInformationClass.Allocation, 8],
  [FileInformationClass.EndOfFile, 8],
  [FileInformationClass.Pipe, 8],
  [FileInformationClass.ValidDataLength, 8],
  [FileInformationClass.ShortName, 4],
  [FileInformationClass.DispositionEx, 4],
  [FileInformationClass.RenameEx, 20],
])
