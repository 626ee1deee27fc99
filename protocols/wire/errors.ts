/** The one error of the wire layer: bytes that do not say what their format promises. */

/**
 * Thrown when a buffer is too short, a length or offset points outside it, or a fixed field
 * holds a value its specification forbids. Each protocol maps it to one status (SMB2:
 * STATUS_INVALID_PARAMETER, iSCSI: a Reject PDU).
 */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'
}
