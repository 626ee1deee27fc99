/** The file system in RAM: the contract, and what only it has: faults, capacity, a clock from outside. */

import fc from 'fast-check'
import t from 'tap'
import type { FileSystem, OpenRequest } from '../../../storage/file-system.ts'
import { createMemoryFileSystem } from '../../../storage/memory/file-system.ts'
import { PAGE_BYTES, SparseBytes } from '../../../storage/memory/sparse-bytes.ts'
import { fileSystemContract } from '../../contract/file-system.ts'

const CREATE: OpenRequest = {
  path: 'file',
  identity: undefined,
  disposition: 'open-if',
  kind: 'file',
  followLinks: true,
  read: true,
  write: true,
  create: { mode: 0o644, dosAttributes: 0 },
  wantPermissions: false,
}

async function openFile(fs: FileSystem, path = 'file') {
  const outcome = await fs.open({ ...CREATE, path })
  if (!outcome.ok) throw new Error(outcome.error)
  return outcome.handle
}

const cleanup = async () => {}
await fileSystemContract(t, 'memory', async () => ({
  fs: createMemoryFileSystem(),
  canImpersonate: true,
  cleanup,
}))
await fileSystemContract(t, 'memory, with nothing optional', async () => {
  const features = {
    extendedAttributes: false,
    caseSensitive: true,
    sparse: false,
    clone: false,
    compression: false,
    symbolicLinks: false,
  }
  return { fs: createMemoryFileSystem({ features }), cleanup }
})

t.test('capacity', async (t) => {
  const fs = createMemoryFileSystem({ capacityBytes: 4 * PAGE_BYTES })
  const file = await openFile(fs)
  await file.write(Buffer.alloc(3 * PAGE_BYTES, 'x'), 0)
  t.same(await fs.space(), {
    blockSize: PAGE_BYTES,
    total: 4 * PAGE_BYTES,
    free: PAGE_BYTES,
    available: PAGE_BYTES,
  })
  await t.rejects(file.write(Buffer.alloc(2 * PAGE_BYTES), 3 * PAGE_BYTES), { code: 'disk-full' })
  await t.rejects(file.setAllocation(5 * PAGE_BYTES), { code: 'disk-full' })
  t.equal((await file.stat()).size, 3 * PAGE_BYTES, 'a write that fails changes nothing')
  await file.zeroRange({ offset: 0, length: PAGE_BYTES })
  t.equal((await fs.space()).free, 2 * PAGE_BYTES, 'holes give space back')
  const other = await openFile(fs, 'other')
  await other.write(Buffer.alloc(1), 0)
  await file.remove()
  t.equal((await fs.space()).free, PAGE_BYTES, 'an open file keeps its space')
  await file.close()
  t.equal((await fs.space()).free, 3 * PAGE_BYTES)
  await t.rejects(file.stat(), { code: 'stale' }, 'a closed handle')
})

t.test('faults: failures and delays', async (t) => {
  const fs = createMemoryFileSystem()
  const file = await openFile(fs)
  fs.faults.failNext('write', 'io')
  await t.rejects(file.write(Buffer.from('x'), 0), { code: 'io' })
  await file.write(Buffer.from('x'), 0)
  fs.faults.failNext('open', 'too-many-open-files', 2)
  const outcomes = [await fs.open(CREATE), await fs.open(CREATE), await fs.open(CREATE)]
  t.same(
    outcomes.map((outcome) => outcome.ok),
    [false, false, true],
  )
  let go = () => {}
  fs.faults.delayNext('flush', new Promise<void>((resolve) => (go = resolve)))
  let flushed = false
  const flush = file.flush().then(() => (flushed = true))
  await file.read(Buffer.alloc(1), 0)
  t.equal(flushed, false, 'the flush waits, others do not')
  let closed = false
  const close = fs.close().then(() => (closed = true))
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(closed, false, 'close waits for what is under way')
  go()
  await Promise.all([flush, close])
  t.same([flushed, closed], [true, true])
  await t.rejects(file.stat(), { code: 'stale' }, 'nothing works after close')
})

t.test('the clock is the one that was given', async (t) => {
  let now = 1_000_000_000n
  const fs = createMemoryFileSystem({ now: () => now })
  const file = await openFile(fs)
  t.equal((await file.stat()).birthTime, now)
  now += 500n
  await file.write(Buffer.from('x'), 0)
  t.match(await file.stat(), { birthTime: now - 500n, writeTime: now, changeTime: now })
})

t.test('sparse bytes: as a plain buffer, whatever is done to them', async () => {
  const limit = 6 * PAGE_BYTES
  const offset = fc.nat({ max: limit })
  const length = fc.nat({ max: 2 * PAGE_BYTES })
  const step = fc.oneof(
    fc.record({ op: fc.constant('write' as const), offset, length }),
    fc.record({ op: fc.constant('zero' as const), offset, length }),
    fc.record({ op: fc.constant('size' as const), offset, length }),
    fc.record({ op: fc.constant('share' as const), offset, length }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const budget = { capacityBytes: Number.MAX_SAFE_INTEGER, usedBytes: 0 }
      const bytes = new SparseBytes(budget)
      let model = Buffer.alloc(0)
      const grow = (size: number) => {
        if (size > model.length) model = Buffer.concat([model, Buffer.alloc(size - model.length)])
      }
      for (const [at, { op, offset, length }] of steps.entries()) {
        if (op === 'write' && length > 0) {
          grow(offset + length)
          model.fill(at + 1, offset, offset + length)
          bytes.write(Buffer.alloc(length, at + 1), offset)
        } else if (op === 'zero') {
          model.fill(0, Math.min(offset, model.length), Math.min(offset + length, model.length))
          bytes.zeroRange({ offset, length })
        } else if (op === 'size') {
          grow(offset)
          model = Buffer.from(model.subarray(0, offset))
          bytes.setSize(offset)
        } else if (op === 'share') {
          // A copy shares the pages and is then written to: the original must not notice.
          const copy = new SparseBytes(budget)
          copy.sharePages(bytes, { offset: 0, length: bytes.size }, 0)
          if (bytes.size > 0) copy.write(Buffer.from([0xff]), Math.min(offset, bytes.size - 1))
          copy.clear()
        }
        const back = Buffer.alloc(model.length)
        if (bytes.size !== model.length || bytes.read(back, 0) !== model.length || !back.equals(model))
          return false
        const outside = Buffer.from(model)
        for (const range of bytes.allocatedRanges({ offset: 0, length: limit * 2 }, 100)) {
          outside.fill(0, range.offset, range.offset + range.length)
        }
        if (outside.some((byte) => byte !== 0) || budget.usedBytes !== bytes.allocated) return false
      }
      return true
    }),
  )
})
