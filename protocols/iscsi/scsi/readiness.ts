/** SBC-3 4.8: whether a unit takes commands that need its medium. */

import type { LogicalUnit } from './logical-unit.ts'
import { type Sense, senses } from './sense.ts'

/** Why not; undefined when it does. */
export function notReadySense(unit: LogicalUnit): Sense | undefined {
  if (unit.sanitize !== undefined) {
    if (unit.sanitize.hasFailed) return senses.sanitizeFailed
    return { ...senses.sanitizing, progress: unit.sanitize.progress }
  }
  return unit.medium === 'ejected' ? senses.noMedium : undefined
}
