/** MS-LSAD 3.1.4.4 and 3.1.4.5: LsarOpenPolicy 1 to 3, LsarClose, and what a server without privileges and trusts enumerates. */

import { CONTEXT_HANDLE_BYTES, type ContextHandles } from './context-handles.ts'
import type { RpcHost } from './host.ts'
import type { Operation, PolicyContext } from './interface.ts'
import type { NdrReader } from './ndr.ts'
import { NtStatus } from './status.ts'

/** 2.2.1.1.2 ACCESS_MASK for policy objects. */
export const PolicyAccess = {
  VIEW_LOCAL_INFORMATION: 0x0000_0001,
  LOOKUP_NAMES: 0x0000_0800,
  READ_CONTROL: 0x0002_0000,
  ALL: 0x000f_1fff,
} as const

const USER_ACCESS =
  PolicyAccess.VIEW_LOCAL_INFORMATION | PolicyAccess.LOOKUP_NAMES | PolicyAccess.READ_CONTROL
const MAXIMUM_ALLOWED = 0x0200_0000
/** What the generic rights stand for. */
const GENERIC_ACCESS: readonly (readonly [generic: number, specific: number])[] = [
  [0x8000_0000, 0x0002_0006],
  [0x4000_0000, 0x0002_07f8],
  [0x2000_0000, 0x0002_0801],
  [0x1000_0000, 0x000f_0fff],
]

const NO_HANDLE = Buffer.alloc(CONTEXT_HANDLE_BYTES)
/** LSAPR_REVISION_INFO_V1 (2.2.2.6): the one version, and none of the features that it tells of. */
const REVISION = { version: 1, revision: 1, features: 0 } as const

interface OpenedPolicy {
  readonly handle: Buffer
  readonly status: number
}

/** ObjectAttributes and DesiredAccess, and what they give. */
function openPolicy(input: NdrReader, host: RpcHost, handles: ContextHandles<PolicyContext>): OpenedPolicy {
  const refuse = (status: number): OpenedPolicy => ({ handle: NO_HANDLE, status })
  if (!decodeObjectAttributes(input)) return refuse(NtStatus.INVALID_PARAMETER)
  const grantedAccess = grant(input.u32(), host)
  if (grantedAccess === undefined) return refuse(NtStatus.ACCESS_DENIED)
  const handle = handles.create({ grantedAccess })
  return handle === undefined ? refuse(NtStatus.INSUFFICIENT_RESOURCES) : { handle, status: NtStatus.SUCCESS }
}

/**
 * 2.2.2.4 LSAPR_OBJECT_ATTRIBUTES: "MUST be ignored" but for RootDirectory, which "MUST be NULL".
 * @returns false for a policy below another object, or one with a name or a descriptor, which none has
 */
function decodeObjectAttributes(input: NdrReader): boolean {
  input.u32()
  const rootDirectory = input.pointer()
  const objectName = input.pointer()
  input.u32()
  const securityDescriptor = input.pointer()
  if (rootDirectory || objectName || securityDescriptor) return false
  if (input.pointer()) {
    // SECURITY_QUALITY_OF_SERVICE: a length, the level, the tracking mode and EffectiveOnly.
    input.u32()
    input.u32()
  }
  return true
}

/** 3.1.4.2.1: undefined when a right is asked for that the user does not have. Who is nobody may not learn who there is. */
function grant(desired: number, host: RpcHost): number | undefined {
  if (host.user.kind === 'anonymous') return undefined
  const allowed = host.isAdministrator ? PolicyAccess.ALL : USER_ACCESS
  if ((desired & MAXIMUM_ALLOWED) !== 0) return allowed
  let wanted = desired & PolicyAccess.ALL
  for (const [generic, specific] of GENERIC_ACCESS) if ((desired & generic) !== 0) wanted |= specific
  return (wanted & ~allowed) === 0 ? wanted : undefined
}

/** Opnum 6; its SystemName is a single character. */
export const lsarOpenPolicy: Operation = (input, output, host, handles) => {
  if (input.pointer()) input.u16()
  const { handle, status } = openPolicy(input, host, handles)
  output.aligned(handle).u32(status)
}

/** Opnum 44. */
export const lsarOpenPolicy2: Operation = (input, output, host, handles) => {
  input.uniqueString()
  const { handle, status } = openPolicy(input, host, handles)
  output.aligned(handle).u32(status)
}

/** Opnum 130; what the client says of its own revision behind the access changes nothing. */
export const lsarOpenPolicy3: Operation = (input, output, host, handles) => {
  input.uniqueString()
  const { handle, status } = openPolicy(input, host, handles)
  output.u32(REVISION.version).u32(REVISION.version).u32(REVISION.revision).u32(REVISION.features)
  output.aligned(handle).u32(status)
}

/** Opnum 0. */
export const lsarClose: Operation = (input, output, _host, handles) => {
  handles.close(input.contextHandle())
  output.aligned(NO_HANDLE).u32(NtStatus.SUCCESS)
}

/**
 * Opnums 11, 13 and 50, LsarEnumerateAccounts, LsarEnumerateTrustedDomains and its Ex form: nobody holds privileges by
 * policy, and there are no trusts.
 */
export const enumerateNothing: Operation = (input, output, _host, handles) => {
  handles.get(input.contextHandle())
  const enumerationContext = input.u32()
  output.u32(enumerationContext).u32(0).pointer().u32(NtStatus.NO_MORE_ENTRIES)
}
