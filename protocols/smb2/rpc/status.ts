/** MS-ERREF 2.2, 2.3 and MS-SRVS 2.2.2.10: codes that procedures return; MS-RPCE 3.1.1.5.5 and C706 appendix E: fault codes. */

export const Win32Error = {
  SUCCESS: 0,
  ACCESS_DENIED: 5,
  INVALID_PARAMETER: 87,
  INVALID_NAME: 123,
  INVALID_LEVEL: 124,
  MORE_DATA: 234,
  NERR_NET_NAME_NOT_FOUND: 2310,
  NERR_DEVICE_NOT_SHARED: 2311,
} as const

/** What the procedures of lsarpc return (MS-ERREF 2.3). */
export const NtStatus = {
  SUCCESS: 0,
  SOME_NOT_MAPPED: 0x0000_0107,
  NO_MORE_ENTRIES: 0x8000_001a,
  INVALID_INFO_CLASS: 0xc000_0003,
  INVALID_PARAMETER: 0xc000_000d,
  ACCESS_DENIED: 0xc000_0022,
  NONE_MAPPED: 0xc000_0073,
  INSUFFICIENT_RESOURCES: 0xc000_009a,
} as const

export const FaultStatus = {
  ACCESS_DENIED: 5,
  /** RPC_X_BAD_STUB_DATA: the parameters cannot be unmarshalled. */
  BAD_STUB_DATA: 0x0000_06f7,
  CONTEXT_MISMATCH: 0x1c00_001a,
  /** nca_s_op_rng_error: no such procedure. */
  OPERATION_RANGE: 0x1c01_0002,
  /** nca_s_unk_if: the context was not accepted. */
  UNKNOWN_INTERFACE: 0x1c01_0003,
  PROTOCOL_ERROR: 0x1c01_000b,
} as const

/** A procedure that cannot return a result of its own: the client gets a fault instead. */
export class RpcFault extends Error {
  readonly status: number

  constructor(status: number) {
    super(`RPC fault 0x${status.toString(16)}`)
    this.name = 'RpcFault'
    this.status = status
  }
}
