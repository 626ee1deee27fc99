/** setfsuid(2), setfsgid(2), setgroups(2): the file-system identity of one worker thread, for the length of one piece of work. */

import type { Identity } from '../file-system.ts'
import { setfsgid, setfsuid, setThreadGroups } from './native.ts'

/** Any invalid id: the call then only tells the present one. */
const ASK = 0xffff_ffff

/** Only root may act as others; without it all act as the server's user. */
const PRIVILEGED = process.geteuid?.() === 0
const SERVER: Identity = {
  uid: process.geteuid?.() ?? 0,
  gid: process.getegid?.() ?? 0,
  groups: process.getgroups?.() ?? [],
}

let current = SERVER
/** Those that the kernel is known to take; what a process may do does not change. */
const taken = new WeakSet<Identity>([SERVER])

/** Runs `work` with the file-system identity of an account and sets it back, however it ends. */
export function actAs<T>(identity: Identity | undefined, work: () => T): T {
  const earlier = current
  become(identity ?? SERVER)
  try {
    return work()
  } finally {
    become(earlier)
  }
}

/** Runs `work` as the server: for what it keeps beside files, after the account's access was checked. */
export function asServer<T>(work: () => T): T {
  return actAs(undefined, work)
}

/** Whether what runs now may do all, as root. */
export function isSuperuser(): boolean {
  return PRIVILEGED && current.uid === 0
}

export function actingUid(): number {
  return current.uid
}

function become(identity: Identity): void {
  if (!PRIVILEGED || isSame(identity, current)) return
  // Also when it fails half-way the next call must not believe that nothing changed.
  current = { uid: Number.NaN, gid: Number.NaN, groups: [] }
  const result = setThreadGroups(identity.groups)
  if (result < 0) throw new Error(`setgroups failed: errno ${-result}`)
  setfsgid(identity.gid)
  setfsuid(identity.uid)
  if (!taken.has(identity)) assertTaken(identity)
  current = identity
}

function assertTaken(identity: Identity): void {
  if (setfsgid(ASK) !== identity.gid || setfsuid(ASK) !== identity.uid) {
    throw new Error('the file-system identity could not be set')
  }
  taken.add(identity)
}

function isSame(one: Identity, other: Identity): boolean {
  if (one === other) return true
  if (one.uid !== other.uid || one.gid !== other.gid || one.groups.length !== other.groups.length)
    return false
  return one.groups.every((group, index) => group === other.groups[index])
}
