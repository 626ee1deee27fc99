/** SPC-4 4.5.6: what storage's errors are to an initiator. */

import { StorageError } from '../../../storage/errors.ts'
import { type Sense, senses } from './sense.ts'

/** @param writes whether the command changes the medium */
export function senseOfStorageError(error: unknown, writes: boolean): Sense | undefined {
  if (!(error instanceof StorageError)) return undefined
  switch (error.code) {
    case 'disk-full':
    case 'quota-exceeded':
      return senses.spaceExhausted
    case 'read-only':
    case 'access-denied':
    case 'not-permitted':
      return senses.writeProtected
    case 'not-ready':
      return senses.interventionRequired
    default:
      return writes ? senses.writeError : senses.readError
  }
}
