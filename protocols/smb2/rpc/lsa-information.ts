/** MS-LSAD 3.1.4.4.4 and 3.1.4.4.5: LsarQueryInformationPolicy and LsarQueryInformationPolicy2. */

import { GUID_BYTES } from '../../wire/guid.ts'
import type { RpcHost } from './host.ts'
import type { Operation } from './interface.ts'
import { PolicyAccess } from './lsa-policy.ts'
import { accountDomain } from './lsa-translation.ts'
import type { NdrWriter } from './ndr.ts'
import { NtStatus } from './status.ts'

/** POLICY_LSA_SERVER_ROLE: alone, hence the first. */
const SERVER_ROLE_PRIMARY = 3
const NO_GUID = Buffer.alloc(GUID_BYTES)

type Encode = (output: NdrWriter, host: RpcHost) => void

/** 2.2.4.1 POLICY_INFORMATION_CLASS, the classes that a member of a workgroup has something to say of. */
const CLASSES: ReadonlyMap<number, Encode> = new Map<number, Encode>([
  // PolicyAuditEventsInformation: nothing is audited.
  [2, (output) => output.u32(0).pointer().u32(0)],
  // PolicyPrimaryDomainInformation: a workgroup has a name and no SID.
  [3, (output, host) => output.unicodeString(host.domainName).sidPointer(undefined)],
  [5, accountDomainInformation],
  // PolicyLsaServerRoleInformation
  [6, (output) => output.u16(SERVER_ROLE_PRIMARY)],
  [12, dnsDomainInformation],
  [13, dnsDomainInformation],
  [14, accountDomainInformation],
])

/** PolicyAccountDomainInformation, and PolicyLocalAccountDomainInformation. */
function accountDomainInformation(output: NdrWriter, host: RpcHost): void {
  const { name, sid } = accountDomain(host)
  output.unicodeString(name).sidPointer(sid)
}

/** POLICY_DNS_DOMAIN_INFO: Windows shows its workgroup here, too. */
function dnsDomainInformation(output: NdrWriter, host: RpcHost): void {
  output.unicodeString(host.domainName).unicodeString('').unicodeString('')
  output.aligned(NO_GUID).sidPointer(undefined)
}

/** Opnums 7 and 46. */
export const lsarQueryInformationPolicy: Operation = (input, output, host, handles) => {
  const policy = handles.get(input.contextHandle())
  const informationClass = input.u16()
  const encode = CLASSES.get(informationClass)
  const allowed = (policy.grantedAccess & PolicyAccess.VIEW_LOCAL_INFORMATION) !== 0
  const answered = allowed && encode !== undefined
  output.uniqueUnion(informationClass, answered ? () => encode(output, host) : undefined)
  if (answered) output.u32(NtStatus.SUCCESS)
  else output.u32(allowed ? NtStatus.INVALID_INFO_CLASS : NtStatus.ACCESS_DENIED)
}
