/** SPC-4 7.8.6: names by which initiators know a logical unit again; made of the target's name and the LUN, so they never change. */

import { createHash } from 'node:crypto'

export interface UnitIdentity {
  /** PRODUCT SERIAL NUMBER: ASCII. */
  readonly serial: string
  /** NAA locally assigned (SPC-4 7.8.6.6.4): 8 bytes. */
  readonly naa: Buffer
}

const SERIAL_CHARACTERS = 16
const NAA_BYTES = 8
const NAA_LOCALLY_ASSIGNED = 0x30

/** @param seed what stays the same as long as the disk is the same; two disks never share it */
export function identityOf(seed: string): UnitIdentity {
  const digest = createHash('sha256').update(`poolhouse logical unit ${seed}`).digest()
  const naa = Buffer.from(digest.subarray(0, NAA_BYTES))
  naa[0] = NAA_LOCALLY_ASSIGNED | ((naa[0] ?? 0) & 0x0f)
  return { serial: digest.toString('hex', NAA_BYTES, NAA_BYTES + SERIAL_CHARACTERS / 2).toUpperCase(), naa }
}
