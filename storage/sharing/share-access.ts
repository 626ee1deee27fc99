/** MS-FSA 2.1.5.1.2.2: whether a new open and those that exist allow each other what they do. */

/**
 * What an open was granted, as far as sharing looks at it. An open with none of it (attributes only)
 * takes no part.
 */
export const GrantedAccess = {
  /** FILE_READ_DATA */
  read: 0x01,
  /** FILE_WRITE_DATA */
  write: 0x02,
  /** FILE_APPEND_DATA */
  append: 0x04,
  /** FILE_EXECUTE */
  execute: 0x08,
  delete: 0x10,
} as const

/** What an open lets others do: MS-SMB2 2.2.13 ShareAccess. */
export const ShareMode = { read: 0x1, write: 0x2, delete: 0x4 } as const

/** An open's side of sharing. */
export interface Sharing {
  /** Bits of GrantedAccess. */
  readonly access: number
  /** Bits of ShareMode. */
  readonly share: number
}

const READS = GrantedAccess.read | GrantedAccess.execute
const WRITES = GrantedAccess.write | GrantedAccess.append

/** The bits of ShareMode that others must have for what an open does; 0 for one that takes no part. */
export function neededShare({ access }: Sharing): number {
  return (
    ((access & READS) === 0 ? 0 : ShareMode.read) |
    ((access & WRITES) === 0 ? 0 : ShareMode.write) |
    ((access & GrantedAccess.delete) === 0 ? 0 : ShareMode.delete)
  )
}

/** Whether two opens of one stream exclude each other. */
export function sharingConflicts(one: Sharing, other: Sharing): boolean {
  const needsOfOne = neededShare(one)
  const needsOfOther = neededShare(other)
  if (needsOfOne === 0 || needsOfOther === 0) return false
  return (needsOfOne & ~other.share) !== 0 || (needsOfOther & ~one.share) !== 0
}

/**
 * Whether an open of a file and one of another stream of it exclude each other: a whole file is
 * deleted with all its streams, so each of them must share that.
 */
export function deletionConflicts(ofFile: Sharing, ofStream: Sharing): boolean {
  if (neededShare(ofStream) === 0) return false
  return (neededShare(ofFile) & ShareMode.delete & ~ofStream.share) !== 0
}

const SHARE_MODES = Object.values(ShareMode)

/**
 * The opens of one stream, counted as IoCheckShareAccess does, so that a check costs the same
 * however many there are.
 */
export class ShareAccess {
  #participants = 0
  /** Per bit of ShareMode: opens that need it, and opens that grant it. */
  readonly #needing = new Map<number, number>()
  readonly #granting = new Map<number, number>()

  /** Whether an open fits to all that were added. */
  permits(sharing: Sharing): boolean {
    const needs = neededShare(sharing)
    if (needs === 0) return true
    return SHARE_MODES.every((bit) => {
      const othersGrant = (this.#granting.get(bit) ?? 0) === this.#participants
      const othersNeed = (this.#needing.get(bit) ?? 0) > 0
      return ((needs & bit) === 0 || othersGrant) && ((sharing.share & bit) !== 0 || !othersNeed)
    })
  }

  add(sharing: Sharing): void {
    this.#count(sharing, 1)
  }

  remove(sharing: Sharing): void {
    this.#count(sharing, -1)
  }

  /** Opens that take part and don't share deletion. */
  get denyingDelete(): number {
    return this.#participants - (this.#granting.get(ShareMode.delete) ?? 0)
  }

  /** Opens that may delete. */
  get deleting(): number {
    return this.#needing.get(ShareMode.delete) ?? 0
  }

  #count(sharing: Sharing, step: 1 | -1): void {
    const needs = neededShare(sharing)
    if (needs === 0) return
    this.#participants += step
    for (const bit of SHARE_MODES) {
      if ((needs & bit) !== 0) this.#needing.set(bit, (this.#needing.get(bit) ?? 0) + step)
      if ((sharing.share & bit) !== 0) this.#granting.set(bit, (this.#granting.get(bit) ?? 0) + step)
    }
  }
}
