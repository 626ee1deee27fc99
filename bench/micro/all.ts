/** The micro rows, in the order of their table. */

import { codecMicros } from './codec.ts'
import { cryptoMicros } from './crypto.ts'
import { mdnsMicros } from './mdns.ts'
import type { Micro } from './micro.ts'
import { nameMicros } from './names.ts'
import { snapshotMicros } from './snapshots.ts'
import { tableMicros } from './tables.ts'

export type { Micro } from './micro.ts'

/** All of them, by one name. */
export const MICRO = 'codec'

export const micros: readonly Micro[] = [
  ...codecMicros,
  ...cryptoMicros,
  ...tableMicros,
  ...nameMicros,
  ...mdnsMicros,
  ...snapshotMicros,
]
