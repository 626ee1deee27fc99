/** The rows, in the order of the table. */

import type { Comparison } from './comparison.ts'
import { listAsMac } from './mac-listing.ts'

export const comparisons: readonly Comparison[] = [
  listAsMac('mac-listing'),
  listAsMac('mac-listing attributes', { attributes: true }),
  listAsMac('mac-listing finder', { finderInfoEvery: 10 }),
]
