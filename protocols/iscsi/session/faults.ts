/** RFC 7143 11.4.7.2: what went wrong with a command's data, as sense data. */

import { encodeSense, SenseKey } from '../scsi/sense.ts'
import { ScsiStatus, type TaskResult } from '../scsi/task.ts'
import type { DataOutFault } from './data-out.ts'

const CODES: Readonly<Record<DataOutFault, number>> = {
  // Protocol service CRC error: what came is not what was sent.
  'wrong-sequence': 0x4705,
  unexpected: 0x0c0c,
  'incorrect-amount': 0x0c0d,
}

/** The end of a command that never came to the SCSI target. */
export function faultResult(fault: DataOutFault): TaskResult {
  const sense = encodeSense({ key: SenseKey.abortedCommand, code: CODES[fault] }, false)
  return { status: ScsiStatus.checkCondition, sense, dataIn: [], dataInLength: 0, dataOutLength: 0 }
}
