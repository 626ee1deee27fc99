/** MS-FSA 2.1.4.1: a change as those who watch a tree are told of it. */

import type { LocalChange } from './file-system.ts'

/** The change as it is called some directories above; `prefix` is empty or ends with '/'. */
export function withPrefix(change: LocalChange, prefix: string): LocalChange {
  if (change.kind === 'lost' || change.kind === 'incomplete' || prefix === '') return change
  if (change.kind === 'renamed') return { ...change, name: prefix + change.name, to: prefix + change.to }
  return { ...change, name: prefix + change.name }
}
