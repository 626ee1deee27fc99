/** Controls by which smbtorture has a server behave in ways that MS-SMB2 2.2.20 and 2.2.32 allow and servers seldom do; off unless configured. */

import type { CommandContext } from '../../context.ts'
import { Fsctl } from '../../messages/ioctl/fsctl.ts'
import type { IoctlRequest } from '../../messages/ioctl.ts'
import { fail, ok } from '../../outcome.ts'
import { Status } from '../../status.ts'
import { done, type IoctlHandler, type IoctlOutcome } from './handler.ts'

const PADDING_BYTES = 8

/** The output is as long as may be, says how far it is from the head in each byte, and begins that much later. */
const padThisResponse: IoctlHandler = {
  withoutOpen: true,
  on: 'any',
  run(_context, { input, maxOutputResponse }) {
    if (input.length !== 0) return fail(Status.INVALID_PARAMETER)
    return ok({ output: Buffer.alloc(maxOutputResponse, PADDING_BYTES), outputPadding: PADDING_BYTES })
  },
}

/** The data of every READ Response of the connection begins later. */
const padReads: IoctlHandler = {
  withoutOpen: true,
  on: 'any',
  run({ connection }, { input }) {
    if (input.length !== 0) return fail(Status.INVALID_PARAMETER)
    connection.readPadding = PADDING_BYTES
    return done()
  },
}

/** Works on the open for as many milliseconds as its one byte says: a CLOSE has to wait for it. */
const sleep: IoctlHandler = {
  on: 'file',
  async run({ server }, { input }): Promise<IoctlOutcome> {
    const [milliseconds] = input
    if (milliseconds === undefined || input.length !== 1) return fail(Status.INVALID_PARAMETER)
    await new Promise<void>((resolve) => server.environment.after(milliseconds, resolve))
    return done()
  },
}

export const SMBTORTURE_HANDLERS: ReadonlyMap<number, IoctlHandler> = new Map<number, IoctlHandler>([
  [Fsctl.SMBTORTURE_IOCTL_RESPONSE_BODY_PADDING8, padThisResponse],
  [Fsctl.SMBTORTURE_GLOBAL_READ_RESPONSE_BODY_PADDING8, padReads],
  [Fsctl.SMBTORTURE_FSP_ASYNC_SLEEP, sleep],
])

/** After which a connection counts as gone, when nothing that is sent on it is acknowledged; milliseconds. */
const UNACKED_TIMEOUT = 1200

/**
 * From now on the connection behaves as if its peer acknowledged nothing: it goes some time after the
 * notification of a break was sent on it. Asked of the connection, without a session.
 * @returns undefined for any other request
 */
export function forceUnackedTimeout(
  { server, connection, header }: CommandContext,
  { ctlCode, input }: IoctlRequest,
): IoctlOutcome | undefined {
  if (header.sessionId !== 0n || ctlCode !== Fsctl.SMBTORTURE_FORCE_UNACKED_TIMEOUT) return undefined
  if (input.length !== 0) return fail(Status.INVALID_PARAMETER)
  connection.onBreakSent = () => {
    const drop = (): void => connection.disconnect('nothing is acknowledged')
    server.environment.after(UNACKED_TIMEOUT, drop)
  }
  return done()
}
