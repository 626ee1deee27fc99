/** MS-ERREF 2.2 and MS-SRVS 2.2.2.10: Win32 error codes that procedures return; MS-RPCE 3.1.1.5.5 and C706 appendix E: fault codes. */

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

export const FaultStatus = {
  /** RPC_X_BAD_STUB_DATA: the parameters cannot be unmarshalled. */
  BAD_STUB_DATA: 0x0000_06f7,
  CONTEXT_MISMATCH: 0x1c00_001a,
  /** nca_s_op_rng_error: no such procedure. */
  OPERATION_RANGE: 0x1c01_0002,
  /** nca_s_unk_if: the context was not accepted. */
  UNKNOWN_INTERFACE: 0x1c01_0003,
  PROTOCOL_ERROR: 0x1c01_000b,
} as const
