/** Jobs that only look, and most of the time at what the kernel has in memory: they can be done by the main thread. */

import * as attributes from './attributes.ts'
import * as eas from './eas.ts'
import * as entries from './entries.ts'
import { WOULD_WAIT, withoutWaiting } from './no-wait.ts'
import * as streams from './streams.ts'
import type { Argument, Operation, Result } from './worker-pool.ts'

/** An inode that is open is in memory, and its attributes nearly always with it. */
const LOOKS = {
  stat: attributes.stat,
  readSecurityDescriptor: attributes.readSecurityDescriptor,
  listStreams: streams.listStreams,
  listEas: eas.listEas,
  currentPath: entries.currentPath,
  currentName: entries.currentName,
  readLink: entries.readLink,
} as const

const table: Partial<Record<Operation, (argument: never) => unknown>> = LOOKS

/** @returns WOULD_WAIT when it is a worker's @throws StorageError that the operation ended with */
export function atOnce<K extends Operation>(
  operation: K,
  argument: Argument<K>,
): Result<K> | typeof WOULD_WAIT {
  const look = table[operation]
  // Each entry has its operation's types; the table's key loses them.
  return look === undefined ? WOULD_WAIT : withoutWaiting(() => look(argument as never) as Result<K>)
}
