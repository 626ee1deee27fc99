/** MS-SMB2 3.3.5.15.11: FSCTL_QUERY_NETWORK_INTERFACE_INFO. */

import { Writer } from '../../../wire/writer.ts'
import {
  encodeNetworkInterfaceInfo,
  InterfaceCapability,
} from '../../messages/ioctl/network-interface-info.ts'
import { fail } from '../../outcome.ts'
import { Status } from '../../status.ts'
import { done, type IoctlHandler } from './handler.ts'

export const queryNetworkInterfaceInfo: IoctlHandler = {
  withoutOpen: true,
  on: 'any',
  run({ server }, request) {
    if (request.input.length !== 0) return fail(Status.INVALID_PARAMETER)
    const writer = new Writer()
    encodeNetworkInterfaceInfo(
      writer,
      server
        .networkInterfaces()
        .map(({ index, address, family, linkSpeedBitsPerSecond, receiveSideScaling }) => ({
          ifIndex: index,
          capability: receiveSideScaling ? InterfaceCapability.RSS : 0,
          linkSpeed: BigInt(linkSpeedBitsPerSecond),
          family: family === 4 ? ('IPv4' as const) : ('IPv6' as const),
          address,
        })),
    )
    return done(writer.finish())
  },
}
