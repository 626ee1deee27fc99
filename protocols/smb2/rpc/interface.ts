/** C706 3.1: an interface, as a table of its operations. */

import type { ContextHandles } from './context-handles.ts'
import type { RpcHost } from './host.ts'
import type { NdrReader, NdrWriter } from './ndr.ts'

/** An open LSA policy (MS-LSAD 3.1.1.7); the only object that a context handle stands for here. */
export interface PolicyContext {
  readonly grantedAccess: number
}

/**
 * Reads the parameters and writes results and return value. What it throws as RpcFault goes to the client, a
 * DecodeError as the fault BAD_STUB_DATA.
 */
export type Operation = (
  input: NdrReader,
  output: NdrWriter,
  host: RpcHost,
  handles: ContextHandles<PolicyContext>,
) => void

export interface RpcInterface {
  readonly uuid: string
  readonly majorVersion: number
  readonly minorVersion: number
  /** By operation number; all others fault with OPERATION_RANGE. */
  readonly operations: ReadonlyMap<number, Operation>
}
