/** The process that probes a folder as another user: it changes its identity for good, so it does nothing else. */

import { closeSync, fsyncSync, openSync, readdirSync, unlinkSync, writeSync } from 'node:fs'
import { getSystemErrorName } from 'node:util'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  fallocate,
  fsetxattr,
} from '../../storage/posix/native.ts'
import type { ProbeFault, ProbeName, ProbeOrder } from './share-probe.ts'

const PROBE_BYTES = 64 * 1024

process.once('message', (order: ProbeOrder) => {
  const faults = probe(order)
  process.send?.(faults, () => process.disconnect())
})

function probe({ path, identity, readOnly }: ProbeOrder): ProbeFault[] {
  const faults: ProbeFault[] = []
  const attempt = (name: ProbeName, run: () => void): boolean => {
    try {
      run()
      return true
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      faults.push({ probe: name, error: code ?? message })
      return false
    }
  }
  // The server holds the folder open, so rights on the folders above it do not matter: enter it first.
  if (!attempt('enter', () => process.chdir(path))) return faults
  if (identity) {
    process.setgroups?.([...identity.groups])
    process.setgid?.(identity.gid)
    process.setuid?.(identity.uid)
  }
  // Entering "." again is judged with the new identity.
  if (!attempt('enter', () => process.chdir('.'))) return faults
  attempt('list', () => readdirSync('.'))
  if (!readOnly) probeWriting(attempt)
  return faults
}

function probeWriting(attempt: (name: ProbeName, run: () => void) => boolean): void {
  const file = `.poolhouse-check-${process.pid}-${Date.now()}`
  let fd = -1
  const created = attempt('create', () => {
    fd = openSync(file, 'wx+', 0o600)
    writeSync(fd, Buffer.alloc(PROBE_BYTES, 1))
  })
  if (fd < 0) return
  try {
    if (!created) return
    attempt('xattr', () => orThrow(fsetxattr(fd, 'user.poolhouse-check', Buffer.from('1'), 1, 0)))
    attempt('fsync', () => fsyncSync(fd))
    attempt('punch', () => orThrow(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PROBE_BYTES)))
  } finally {
    closeSync(fd)
    attempt('delete', () => unlinkSync(file))
  }
}

/** The native calls return -errno. */
function orThrow(result: number): void {
  if (result < 0) throw Object.assign(new Error('system call'), { code: getSystemErrorName(result) })
}
