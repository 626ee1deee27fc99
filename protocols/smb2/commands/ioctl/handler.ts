/** MS-SMB2 3.3.5.15: the shape of one control's handler. */

import type { CommandContext } from '../../context.ts'
import type { IoctlRequest } from '../../messages/ioctl.ts'
import { type Outcome, ok } from '../../outcome.ts'
import type { NtStatus } from '../../status.ts'

/** What a control gives back, before it is put into an IOCTL Response. */
export interface IoctlOutput {
  readonly output: Buffer
  /** IoctlResponse.outputPadding */
  readonly outputPadding?: number
}

export type IoctlOutcome = Outcome<IoctlOutput>

export interface IoctlHandler {
  /** The request names no open: its FileId is all ones and not looked at. */
  readonly withoutOpen?: true
  /** Which opens it is for; others get INVALID_DEVICE_REQUEST, as from a driver that does not know it. */
  readonly on: 'file' | 'pipe' | 'any'
  run(context: CommandContext, request: IoctlRequest): IoctlOutcome | Promise<IoctlOutcome>
}

const NO_OUTPUT = Buffer.alloc(0)

/** Success, with nothing or with `output` to give back. */
export function done(output: Buffer = NO_OUTPUT, status?: NtStatus): IoctlOutcome {
  return ok({ output }, status)
}
