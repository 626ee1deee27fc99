/** MS-SMB2 2.2.13.2, POSIX-SMB2 2.1.3 (SMB3 POSIX Extensions): the create context of the POSIX extensions. */

import { POSIX_FACTS_BYTES, type PosixFacts, writePosixFacts } from '../fscc/posix-information.ts'
import { contextReader } from './create-context-data.ts'

const REQUEST_BYTES = 4
/** Linux sends one of them where no mode is meant: whenever it does not create. */
const NO_MODES: readonly number[] = [0xffff, 0xffff_ffff]
/** Those that a creator may set: set-id bits are not for clients. */
const SETTABLE_MODE = 0o1777

/**
 * @returns the permissions for a file that is made; undefined: the share's own
 * @throws DecodeError when the data has not 4 bytes
 */
export function decodePosixCreateRequest(data: Buffer): number | undefined {
  const mode = contextReader(data, REQUEST_BYTES).u32()
  return NO_MODES.includes(mode) ? undefined : mode & SETTABLE_MODE
}

export function encodePosixCreateResponse(facts: PosixFacts): Buffer {
  const data = Buffer.alloc(POSIX_FACTS_BYTES)
  writePosixFacts(data, 0, facts)
  return data
}
