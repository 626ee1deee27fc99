/** MS-SRVS 3.1.4: the Server Service Remote Protocol, as far as clients of a file server call it. */

import type { RpcInterface } from './interface.ts'
import { netrConnectionEnum, netrFileEnum, netrSessionEnum } from './srvsvc-activity.ts'
import { netprNameValidate, netrRemoteTod, netrServerDiskEnum, netrServerGetInfo } from './srvsvc-server.ts'
import { netrShareCheck, netrShareEnum, netrShareEnumSticky, netrShareGetInfo } from './srvsvc-shares.ts'

export const SRVSVC: RpcInterface = {
  uuid: '4b324fc8-1670-01d3-1278-5a47bf6ee188',
  majorVersion: 3,
  minorVersion: 0,
  operations: new Map([
    [8, netrConnectionEnum],
    [9, netrFileEnum],
    [12, netrSessionEnum],
    [15, netrShareEnum],
    [16, netrShareGetInfo],
    [20, netrShareCheck],
    [21, netrServerGetInfo],
    [23, netrServerDiskEnum],
    [28, netrRemoteTod],
    [33, netprNameValidate],
    [36, netrShareEnumSticky],
  ]),
}
