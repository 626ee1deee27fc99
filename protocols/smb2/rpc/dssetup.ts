/** MS-DSSP 3.2.5.1: DsRolerGetPrimaryDomainInformation, by which clients learn whether a server belongs to a domain. */

import { GUID_BYTES } from '../../wire/guid.ts'
import type { RpcHost } from './host.ts'
import type { Operation, RpcInterface } from './interface.ts'
import type { NdrWriter } from './ndr.ts'
import { Win32Error } from './status.ts'

/** DSROLE_MACHINE_ROLE (2.2.2). */
const STANDALONE_SERVER = 2
const NO_GUID = Buffer.alloc(GUID_BYTES)

type Encode = (output: NdrWriter, host: RpcHost) => void

/** 2.2.8 DSROLER_PRIMARY_DOMAIN_INFORMATION: basic information, and that no upgrade or other operation is under way. */
const LEVELS: ReadonlyMap<number, Encode> = new Map<number, Encode>([
  [1, basicInformation],
  [2, (output) => output.u32(0).u16(0)],
  [3, (output) => output.u16(0)],
])

function basicInformation(output: NdrWriter, host: RpcHost): void {
  output.u32(STANDALONE_SERVER).u32(0)
  output.stringPointer(host.domainName).pointer().pointer().aligned(NO_GUID)
}

/** Opnum 0. */
const dsRolerGetPrimaryDomainInformation: Operation = (input, output, host) => {
  const level = input.u16()
  const encode = LEVELS.get(level)
  output.uniqueUnion(level, encode === undefined ? undefined : () => encode(output, host))
  output.u32(encode === undefined ? Win32Error.INVALID_PARAMETER : Win32Error.SUCCESS)
}

export const DSSETUP: RpcInterface = {
  uuid: '3919286a-b10c-11d0-9ba8-00c04fd92ef5',
  majorVersion: 0,
  minorVersion: 0,
  operations: new Map([[0, dsRolerGetPrimaryDomainInformation]]),
}
