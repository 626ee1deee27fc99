/** MS-SMB2 3.3.5.15.12: FSCTL_VALIDATE_NEGOTIATE_INFO: was the NEGOTIATE changed on its way? */

import { Reader } from '../../../wire/reader.ts'
import { Writer } from '../../../wire/writer.ts'
import { Dialect } from '../../messages/dialects.ts'
import {
  decodeValidateNegotiateInfoRequest,
  encodeValidateNegotiateInfoResponse,
  VALIDATE_NEGOTIATE_INFO_RESPONSE_BYTES,
} from '../../messages/ioctl/validate-negotiate-info.ts'
import { disconnect, fail } from '../../outcome.ts'
import { Status } from '../../status.ts'
import { done, type IoctlHandler } from './handler.ts'

export const validateNegotiateInfo: IoctlHandler = {
  withoutOpen: true,
  on: 'any',
  run({ connection, server }, request) {
    // "If Connection.Dialect is 3.1.1 ... MUST terminate": there the preauthentication hash does this.
    if (connection.dialect === Dialect.SMB_3_1_1) return disconnect('VALIDATE_NEGOTIATE_INFO on 3.1.1')
    if (request.maxOutputResponse < VALIDATE_NEGOTIATE_INFO_RESPONSE_BYTES)
      return fail(Status.INVALID_PARAMETER)
    const claimed = decodeValidateNegotiateInfoRequest(new Reader(request.input))
    const isSame =
      claimed.guid.equals(connection.clientGuid) &&
      claimed.capabilities === connection.clientCapabilities &&
      claimed.securityMode === connection.clientSecurityMode &&
      claimed.dialects.length === connection.clientDialects.length &&
      claimed.dialects.every((dialect, index) => dialect === connection.clientDialects[index])
    if (!isSame) return disconnect('the NEGOTIATE was changed on its way')
    const writer = new Writer()
    encodeValidateNegotiateInfoResponse(writer, {
      capabilities: connection.serverCapabilities,
      guid: server.serverGuid,
      securityMode: connection.serverSecurityMode,
      dialect: connection.dialect,
    })
    return done(writer.finish())
  },
}
