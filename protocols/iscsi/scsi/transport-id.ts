/** SPC-4 7.6.4: TransportIDs, the names of initiator ports in parameter lists of persistent reservations. */

/** FORMAT CODE 01b (name and ISID) and PROTOCOL IDENTIFIER 5 (SPC-4 table 513). */
const ISCSI_PORT_NAME = 0x45
const HEAD_BYTES = 4
/** ADDITIONAL LENGTH is at least 20 and a multiple of 4. */
const NAME_BYTES_MINIMUM = 20
const NAME_BYTES_MAXIMUM = 512

/** The name ends with a zero and is padded. */
export function encodeTransportId(initiatorPort: string): Buffer {
  const name = Buffer.from(`${initiatorPort}\0`)
  const length = Math.max(NAME_BYTES_MINIMUM, Math.ceil(name.length / 4) * 4)
  const bytes = Buffer.alloc(HEAD_BYTES + length)
  bytes[0] = ISCSI_PORT_NAME
  bytes.writeUInt16BE(length, 2)
  name.copy(bytes, HEAD_BYTES)
  return bytes
}

/** @returns the port's name, or undefined when it is no TransportID that names a port */
export function decodeTransportId(bytes: Buffer): string | undefined {
  if (bytes.length < HEAD_BYTES || bytes[0] !== ISCSI_PORT_NAME) return undefined
  const length = bytes.readUInt16BE(2)
  if (length < NAME_BYTES_MINIMUM || length > NAME_BYTES_MAXIMUM || length % 4 !== 0) return undefined
  const name = bytes.subarray(HEAD_BYTES, HEAD_BYTES + length)
  const end = name.indexOf(0)
  return name.length === length && end > 0 ? name.toString('utf8', 0, end) : undefined
}
