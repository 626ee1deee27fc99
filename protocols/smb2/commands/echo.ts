/** MS-SMB2 3.3.5.17: receiving an ECHO Request. */

import { command } from '../context.ts'
import { Command } from '../messages/commands.ts'
import { decodeEchoRequest, encodeEchoResponse } from '../messages/echo.ts'
import { ok } from '../outcome.ts'

export const echo = command({
  code: Command.ECHO,
  name: 'ECHO',
  needs: 'nothing',
  decode: decodeEchoRequest,
  encode: encodeEchoResponse,
  run: () => ok({}),
})
