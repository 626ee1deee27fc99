/** Open and deny modes as netatalk tells other programs of them (its AD_FILELOCK_*): locks of single bytes beyond the data. */

/** What an open does with a file's data, and what it denies to others. */
export interface OpenModes {
  readonly reads: boolean
  readonly writes: boolean
  readonly deniesReading: boolean
  readonly deniesWriting: boolean
}

/** The last ten bytes that a lock of the kernel's can have; between these stand those of the resource fork. */
const FIRST_MARK = 0x7fff_ffff_ffff_fff6n
const OPEN_FOR_WRITING = FIRST_MARK
const OPEN_FOR_READING = FIRST_MARK + 1n
const WRITING_DENIED = FIRST_MARK + 4n
const READING_DENIED = FIRST_MARK + 5n

/** The bytes that an open locks, shared. */
export function marksOf({ reads, writes, deniesReading, deniesWriting }: OpenModes): readonly bigint[] {
  return [
    ...(reads ? [OPEN_FOR_READING] : []),
    ...(writes ? [OPEN_FOR_WRITING] : []),
    ...(deniesReading ? [READING_DENIED] : []),
    ...(deniesWriting ? [WRITING_DENIED] : []),
  ]
}

/** The bytes that nobody else may have locked. */
export function obstaclesTo({ reads, writes, deniesReading, deniesWriting }: OpenModes): readonly bigint[] {
  return marksOf({ reads: deniesReading, writes: deniesWriting, deniesReading: reads, deniesWriting: writes })
}
