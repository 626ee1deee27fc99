/** MS-LSAD and MS-LSAT 3.1.4: the Local Security Authority's interface, as far as clients need it to show who has which rights. */

import type { RpcInterface } from './interface.ts'
import { lsarQueryInformationPolicy } from './lsa-information.ts'
import {
  lsarGetUserName,
  lsarLookupNames,
  lsarLookupNames2,
  lsarLookupNames3,
  lsarLookupSids,
  lsarLookupSids2,
  onlyForDomainControllers,
} from './lsa-lookup.ts'
import {
  enumerateNothing,
  lsarClose,
  lsarOpenPolicy,
  lsarOpenPolicy2,
  lsarOpenPolicy3,
} from './lsa-policy.ts'

export const LSARPC: RpcInterface = {
  uuid: '12345778-1234-abcd-ef00-0123456789ab',
  majorVersion: 0,
  minorVersion: 0,
  operations: new Map([
    [0, lsarClose],
    [6, lsarOpenPolicy],
    [7, lsarQueryInformationPolicy],
    [11, enumerateNothing],
    [13, enumerateNothing],
    [14, lsarLookupNames],
    [15, lsarLookupSids],
    [44, lsarOpenPolicy2],
    [45, lsarGetUserName],
    [46, lsarQueryInformationPolicy],
    [50, enumerateNothing],
    [57, lsarLookupSids2],
    [58, lsarLookupNames2],
    [68, lsarLookupNames3],
    [76, onlyForDomainControllers],
    [77, onlyForDomainControllers],
    [130, lsarOpenPolicy3],
  ]),
}
