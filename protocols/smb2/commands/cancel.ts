/** MS-SMB2 3.3.5.16: a CANCEL amid a compound. One alone is served before dispatch, since it takes no message id. */

import { command } from '../context.ts'
import { decodeCancelRequest } from '../messages/cancel.ts'
import { Command } from '../messages/commands.ts'
import { SILENT } from '../outcome.ts'

export const cancel = command({
  code: Command.CANCEL,
  name: 'CANCEL',
  needs: 'nothing',
  decode: decodeCancelRequest,
  encode: () => undefined,
  // 3.3.5.16 knows no related CANCEL: its message id names no request of the same frame that still runs.
  run: () => SILENT,
})
