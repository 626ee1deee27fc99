/** RFC 7143 4.2.2: the numbers that stand in the same place of many PDUs. */

/** What an initiator's PDU says of the order of commands and responses. */
export interface RequestNumbers {
  readonly cmdSN: number
  readonly expStatSN: number
}

/** What a target's PDU says of it. */
export interface ResponseNumbers {
  readonly statSN: number
  readonly expCmdSN: number
  readonly maxCmdSN: number
}

export function readRequestNumbers(bhs: Buffer): RequestNumbers {
  return { cmdSN: bhs.readUInt32BE(24), expStatSN: bhs.readUInt32BE(28) }
}

export function writeRequestNumbers(bhs: Buffer, numbers: RequestNumbers): void {
  bhs.writeUInt32BE(numbers.cmdSN, 24)
  bhs.writeUInt32BE(numbers.expStatSN, 28)
}

export function readResponseNumbers(bhs: Buffer): ResponseNumbers {
  return {
    statSN: bhs.readUInt32BE(24),
    expCmdSN: bhs.readUInt32BE(28),
    maxCmdSN: bhs.readUInt32BE(32),
  }
}

export function writeResponseNumbers(bhs: Buffer, numbers: ResponseNumbers): void {
  bhs.writeUInt32BE(numbers.statSN, 24)
  bhs.writeUInt32BE(numbers.expCmdSN, 28)
  bhs.writeUInt32BE(numbers.maxCmdSN, 32)
}

const HALF = 0x8000_0000

/** RFC 1982: whether one number stands before another; they wrap at 2^32. */
export function isBefore(one: number, other: number): boolean {
  return one !== other && (other - one) >>> 0 < HALF
}

export function next(number: number): number {
  return (number + 1) >>> 0
}
