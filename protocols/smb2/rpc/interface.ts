/** C706 3.1: an interface, as a table of its operations. */

import type { RpcHost } from './host.ts'
import type { NdrReader, NdrWriter } from './ndr.ts'

/**
 * Reads the parameters and writes results and return value. What it throws as DecodeError becomes the fault
 * BAD_STUB_DATA.
 */
export type Operation = (input: NdrReader, output: NdrWriter, host: RpcHost) => void

export interface RpcInterface {
  readonly uuid: string
  readonly majorVersion: number
  readonly minorVersion: number
  /** By operation number; all others fault with OPERATION_RANGE. */
  readonly operations: ReadonlyMap<number, Operation>
}
