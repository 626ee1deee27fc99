/** MS-SMB2 3.3.5.6: receiving a LOGOFF Request. */

import { command } from '../context.ts'
import { Command } from '../messages/commands.ts'
import { decodeLogoffRequest, encodeLogoffResponse } from '../messages/logoff.ts'
import { ok } from '../outcome.ts'
import { disconnectSession } from './teardown.ts'

export const logoff = command({
  code: Command.LOGOFF,
  name: 'LOGOFF',
  needs: 'session',
  whenExpired: true,
  decode: decodeLogoffRequest,
  encode: encodeLogoffResponse,
  async run(context) {
    await disconnectSession(context.server, context.session)
    return ok({})
  },
})
