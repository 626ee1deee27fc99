/** MS-FSA's rules for files that are open more than once: share access, byte-range locks, the node table. */

import fc from 'fast-check'
import t from 'tap'
import {
  ByteRangeLocks,
  type HeldLock,
  type LockRequest,
  type WaitOutcome,
} from '../../../storage/sharing/byte-range-locks.ts'
import { NodeTable, type SharedOpen, type StreamNode } from '../../../storage/sharing/node-table.ts'
import {
  GrantedAccess,
  ShareAccess,
  ShareMode,
  type Sharing,
  sharingConflicts,
} from '../../../storage/sharing/share-access.ts'

const LAST = 0xffff_ffff_ffff_ffffn
const sharings = fc.record({ access: fc.nat({ max: 31 }), share: fc.nat({ max: 7 }) })

/** The rule as a person would say it, right by right. */
function conflictsByTheBook(one: Sharing, other: Sharing): boolean {
  if (one.access === 0 || other.access === 0) return false
  const pairs = [
    [GrantedAccess.read | GrantedAccess.execute, ShareMode.read],
    [GrantedAccess.write | GrantedAccess.append, ShareMode.write],
    [GrantedAccess.delete, ShareMode.delete],
  ] as const
  return pairs.some(([access, share]) => {
    const oneMay = (one.access & access) === 0 || (other.share & share) !== 0
    const otherMay = (other.access & access) === 0 || (one.share & share) !== 0
    return !oneMay || !otherMay
  })
}

t.test('share access: every pair, and counted', async (t) => {
  let wrong = 0
  for (let pair = 0; pair < 2 ** 16; pair++) {
    const one = { access: pair & 31, share: (pair >> 5) & 7 }
    const other = { access: (pair >> 8) & 31, share: pair >> 13 }
    if (sharingConflicts(one, other) !== conflictsByTheBook(one, other)) wrong++
  }
  t.equal(wrong, 0)
  fc.assert(
    fc.property(fc.array(sharings), fc.nat(), sharings, (existing, removed, asked) => {
      const counted = new ShareAccess()
      for (const sharing of existing) counted.add(sharing)
      const gone = existing.splice(removed % (existing.length + 1), 1)
      for (const sharing of gone) counted.remove(sharing)
      return counted.permits(asked) === !existing.some((sharing) => conflictsByTheBook(sharing, asked))
    }),
    { numRuns: 2000 },
  )
})

const one = { name: 'one' }
const two = { name: 'two' }

function request(
  owner: object,
  offset: bigint | number,
  length: bigint | number,
  exclusive = true,
  key = 0,
): LockRequest {
  return { owner, key, offset: BigInt(offset), length: BigInt(length), exclusive }
}

function outcomeOf(result: ReturnType<ByteRangeLocks['lock']>): string {
  return typeof result === 'string' ? result : 'granted'
}

t.test('locks: zero-length ranges', async (t) => {
  const rows = [
    [10, 0, 10, 0, 'granted'],
    [10, 0, 9, 1, 'granted'],
    [10, 0, 10, 1, 'granted'],
    [10, 0, 11, 1, 'granted'],
    [10, 0, 9, 2, 'conflict'],
    [10, 0, 10, 2, 'granted'],
    [10, 0, 9, 3, 'conflict'],
    [0, 0, 0, 0, 'granted'],
    [0, 0, 0, 10, 'granted'],
  ] as const
  for (const [offset, length, secondOffset, secondLength, expected] of rows) {
    for (const owner of [one, two]) {
      const message = `${offset}+${length} and ${secondOffset}+${secondLength}`
      const locks = new ByteRangeLocks()
      locks.lock(request(one, offset, length))
      t.equal(outcomeOf(locks.lock(request(owner, secondOffset, secondLength))), expected, message)
      const turned = new ByteRangeLocks()
      turned.lock(request(one, secondOffset, secondLength))
      t.equal(outcomeOf(turned.lock(request(owner, offset, length))), expected, `${message}, turned round`)
    }
  }
})

t.test('locks: ranges at the end of all offsets', async (t) => {
  const locks = new ByteRangeLocks()
  t.equal(locks.lock(request(one, LAST, LAST)), 'invalid-lock-range')
  t.equal(locks.lock(request(one, LAST, 2)), 'invalid-lock-range')
  t.equal(locks.lock(request(one, 1, LAST + 1n)), 'invalid-lock-range')
  t.equal(outcomeOf(locks.lock(request(one, LAST, 1))), 'granted')
  t.equal(outcomeOf(locks.lock(request(two, LAST, 0))), 'granted')
  t.equal(outcomeOf(locks.lock(request(two, 0, LAST))), 'granted')
  t.equal(outcomeOf(locks.lock(request(two, 0, LAST + 1n))), 'conflict')
  t.equal(locks.size, 3)
})

t.test('locks: stacking, unlocking, keys', async (t) => {
  const locks = new ByteRangeLocks()
  const range = { offset: 0n, length: 10n }
  for (const exclusive of [true, false, false]) {
    t.equal(outcomeOf(locks.lock(request(one, 0, 10, exclusive))), 'granted')
  }
  t.equal(locks.lock(request(one, 0, 10)), 'conflict', 'exclusive ones do not stack')
  t.equal(locks.lock(request(two, 0, 10, false)), 'conflict')
  t.equal(locks.unlock(one, 0, { offset: 0n, length: 9n }), false, 'only the exact range')
  t.equal(locks.unlock(two, 0, range), false, 'only its owner')
  t.equal(locks.unlock(one, 1, range), false, 'only with its key')
  t.equal(locks.unlock(one, 0, range), true, 'the exclusive one goes first')
  t.equal(outcomeOf(locks.lock(request(two, 0, 10, false))), 'granted')
  t.equal(locks.unlock(one, 0, range), true)
  t.equal(locks.unlock(one, 0, range), true)
  t.equal(locks.unlock(one, 0, range), false)
  t.equal(locks.unlock(two, 0, range), true)
  t.equal(locks.size, 0)
  const held = locks.lock(request(one, 0, 10, true, 7)) as HeldLock
  t.equal(locks.lock(request(one, 5, 10, false, 8)), 'conflict', 'another key is another owner')
  t.equal(locks.conflictsWithRead(one, 8, range), true)
  t.equal(locks.conflictsWithRead(one, 7, range), false)
  locks.release(held)
  t.throws(() => locks.release(held), 'a lock is released once')
})

t.test('locks: reads and writes', async (t) => {
  const locks = new ByteRangeLocks()
  const range = { offset: 5n, length: 10n }
  const both = (owner: object) => [
    locks.conflictsWithRead(owner, 0, range),
    locks.conflictsWithWrite(owner, 0, range),
  ]
  t.same(both(one), [false, false])
  locks.lock(request(one, 0, 10))
  t.same(both(one), [false, false], 'an exclusive lock is no hindrance to its owner')
  t.same(both(two), [true, true])
  t.equal(
    locks.conflictsWithRead(two, 0, { offset: 5n, length: 0n }),
    false,
    'reading nothing never conflicts',
  )
  t.equal(locks.conflictsWithWrite(two, 0, { offset: 5n, length: 0n }), false)
  t.equal(locks.conflictsWithRead(two, 0, { offset: 10n, length: 5n }), false)
  locks.releaseAll(one)
  locks.lock(request(one, 0, 10, false))
  t.same(both(one), [false, true], 'a shared one keeps everyone from writing')
  t.same(both(two), [false, true])
})

t.test('locks: waiting', async (t) => {
  const locks = new ByteRangeLocks()
  const log: string[] = []
  const wait = (name: string, asked: LockRequest) =>
    locks.wait(asked, (outcome: WaitOutcome) =>
      log.push(`${name} ${outcome === 'released' ? outcome : 'granted'}`),
    )
  t.throws(() => wait('free', request(one, 0, 1)), 'there must be something to wait for')
  locks.lock(request(one, 0, 10))
  const first = wait('first', request(two, 0, 10, false))
  wait('second', request(two, 5, 1))
  wait('third', request(one, 5, 5))
  const cancelled = wait('cancelled', request(two, 0, 10, false))
  wait('fourth', request(two, 2, 1, false))
  t.equal(locks.waiting, 5)
  t.equal(cancelled.cancel(), true)
  t.equal(cancelled.cancel(), false)
  locks.unlock(one, 0, { offset: 0n, length: 10n })
  t.same(log, ['first granted', 'fourth granted'], 'all that fit, in order')
  t.equal(first.cancel(), false, 'it is over')
  locks.releaseAll(one)
  t.same(log.slice(2), ['third released'], 'an owner that goes stops waiting')
  locks.unlock(two, 0, { offset: 0n, length: 10n })
  t.same(log.slice(3), ['second granted'])
  t.same([locks.waiting, locks.size], [0, 2])
  const granted: string[] = []
  locks.wait(request(one, 5, 1), () => {
    granted.push('one')
    locks.lock(request(one, 100, 1))
  })
  locks.releaseAll(two)
  t.same([granted, locks.size], [['one'], 2], 'a callback may lock')
})

t.test('locks: as a list would do it, over random sequences', async (t) => {
  const owners = [one, two, { name: 'three' }]
  const ranges = fc.record({
    owner: fc.constantFrom(...owners),
    key: fc.nat({ max: 1 }),
    offset: fc.bigInt({ min: 0n, max: 12n }),
    length: fc.bigInt({ min: 0n, max: 5n }),
    exclusive: fc.boolean(),
  })
  const steps = fc.array(
    fc.record({
      op: fc.constantFrom('lock', 'lock', 'lock', 'unlock', 'read', 'write', 'close'),
      range: ranges,
    }),
    { maxLength: 60 },
  )
  const overlap = (a: LockRequest, b: LockRequest) =>
    a.offset <= b.offset + b.length - 1n && b.offset <= a.offset + a.length - 1n
  const same = (a: LockRequest, b: LockRequest) => a.owner === b.owner && a.key === b.key
  fc.assert(
    fc.property(steps, (steps) => {
      const locks = new ByteRangeLocks()
      const model: LockRequest[] = []
      for (const { op, range } of steps) {
        const met = model.filter((lock) => overlap(lock, range))
        if (op === 'lock') {
          const conflict = met.some((lock) => range.exclusive || (lock.exclusive && !same(lock, range)))
          if (outcomeOf(locks.lock(range)) !== (conflict ? 'conflict' : 'granted')) return false
          if (!conflict) model.push(range)
        } else if (op === 'unlock') {
          const exact = model.filter(
            (lock) => same(lock, range) && lock.offset === range.offset && lock.length === range.length,
          )
          const gone = exact.find((lock) => lock.exclusive) ?? exact[0]
          if (locks.unlock(range.owner, range.key, range) !== (gone !== undefined)) return false
          if (gone !== undefined) model.splice(model.indexOf(gone), 1)
        } else if (op === 'close') {
          locks.releaseAll(range.owner)
          for (const lock of model.filter((lock) => lock.owner === range.owner))
            model.splice(model.indexOf(lock), 1)
        } else {
          const some = range.length > 0n && met.some((lock) => lock.exclusive && !same(lock, range))
          const shared = range.length > 0n && met.some((lock) => !lock.exclusive)
          const { owner, key } = range
          const got =
            op === 'read'
              ? locks.conflictsWithRead(owner, key, range)
              : locks.conflictsWithWrite(owner, key, range)
          if (got !== (op === 'read' ? some : some || shared)) return false
        }
        if (locks.size !== model.length) return false
      }
      return true
    }),
    { numRuns: 1000 },
  )
  const many = new ByteRangeLocks()
  const count = 100_000
  const began = process.hrtime.bigint()
  for (let i = 0; i < count; i++) many.lock(request(i % 2 === 0 ? one : two, (i * 7919) % count, 1))
  t.equal(many.size, count)
  for (let i = 0; i < 1000; i++) many.conflictsWithRead(one, 0, { offset: BigInt(i * 100 + 1), length: 1n })
  many.releaseAll(one)
  many.releaseAll(two)
  const seconds = Number(process.hrtime.bigint() - began) / 1e9
  t.ok(seconds < 10, `100,000 locks taken, asked and released in ${seconds.toFixed(2)} s`)
})

const ALL = ShareMode.read | ShareMode.write | ShareMode.delete
const root = {}

interface TestOpen extends SharedOpen {
  path: string
}

function makeOpen(access: number, share: number = ALL, path = 'file'): TestOpen {
  return { access, share, root, path }
}

t.test('node table: opens, streams and deletion', async (t) => {
  const table = new NodeTable<TestOpen>()
  const file = { volumeId: 1n, fileId: 2n }
  const info = { ...file, stream: 'Info' }
  const { read, write } = GrantedAccess
  const reader = makeOpen(read, ShareMode.read)
  t.equal(table.check(file, reader), 'ok')
  const node = table.attach(file, reader).node
  t.equal(table.find(file), node)
  t.equal(table.streamOf(reader).name, '')
  t.equal(table.check(file, makeOpen(write)), 'sharing-violation')
  t.same(table.conflictingOpens(file, makeOpen(write)), [reader])
  t.equal(table.check({ ...file, fileId: 3n }, makeOpen(write)), 'ok', 'another file')
  t.equal(table.check({ ...file, volumeId: 3n }, makeOpen(write)), 'ok', 'another volume')
  t.equal(table.check(file, makeOpen(0, 0)), 'ok', 'attributes only')
  t.equal(table.check(info, makeOpen(write, 0)), 'ok', 'a stream shares on its own')
  const stream = makeOpen(write, 0)
  t.equal(table.attach(info, stream).node, node)
  t.equal(
    table.check({ ...file, stream: 'INFO' }, makeOpen(write)),
    'sharing-violation',
    'streams ignore case',
  )
  t.throws(() => table.attach(info, stream), 'an open is attached once')
  t.equal(node.openCount, 2)

  t.equal(table.detach(reader).lastOfStream, true)
  const deleter = makeOpen(GrantedAccess.delete)
  t.equal(
    table.check(file, deleter),
    'sharing-violation',
    'a stream that does not share deletion keeps its file',
  )
  t.same(table.conflictingOpens(file, deleter), [stream])
  t.equal(table.check(file, makeOpen(read)), 'ok')
  t.same(table.detach(stream), { lastOfStream: true, lastOfFile: true })
  t.equal(table.find(file), undefined)
  t.throws(() => table.detach(stream))

  table.attach(file, deleter)
  t.equal(table.check(info, makeOpen(read, ShareMode.read)), 'sharing-violation', 'and the other way round')
  t.same(table.conflictingOpens(info, makeOpen(read, ShareMode.read)), [deleter])
  const sharing = makeOpen(read)
  t.equal(table.check(info, sharing), 'ok')
  table.attach(info, sharing)
  table.setDeletePending(deleter, true)
  t.equal(table.check(file, makeOpen(0)), 'delete-pending')
  t.equal(
    table.check({ ...file, stream: 'new' }, makeOpen(0)),
    'delete-pending',
    'streams go with their file',
  )
  t.equal(table.isDeletePending(sharing), true)
  table.setDeletePending(deleter, false)
  t.equal(table.check(file, makeOpen(read)), 'ok', 'it may be taken back')
  table.setDeletePending(deleter, true)
  t.same(
    table.detach(deleter),
    { lastOfStream: true, lastOfFile: false },
    'while a stream is open the file stays',
  )
  t.equal(table.check(file, makeOpen(read)), 'delete-pending')
  const { removed, ...detached } = table.detach(sharing)
  t.same(detached, { lastOfStream: true, lastOfFile: true, removeFile: deleter })
  t.equal(table.check(file, makeOpen(read)), 'delete-pending', 'until its name is gone')
  t.equal(table.isDeletePendingAt(root, deleter.path.toUpperCase()), true)
  t.equal(table.isDeletePendingAt({}, deleter.path), false)
  removed?.()
  t.equal(table.isDeletePendingAt(root, deleter.path), false)
  t.equal(table.check(file, makeOpen(read)), 'ok')
  t.equal(table.find(file), undefined)
})

t.test('node table: deleting a stream, locks, paths, observers', async (t) => {
  const log: string[] = []
  const observer = {
    attached: (stream: StreamNode<TestOpen>, open: TestOpen) => log.push(`+${stream.name}${open.path}`),
    detaching: (stream: StreamNode<TestOpen>, open: TestOpen) => log.push(`-${stream.name}${open.path}`),
  }
  const table = new NodeTable<TestOpen>([observer])
  const target = { volumeId: 1n, fileId: 2n, stream: 's' }
  const opens = ['d/x', 'd/x', 'd', 'dd/x', 'd/e/f'].map((path) => makeOpen(GrantedAccess.read, ALL, path))
  const [first, second, directory, other, deep] = opens as [TestOpen, TestOpen, TestOpen, TestOpen, TestOpen]
  const stream = table.attach(target, first)
  table.attach(target, second)
  stream.locks.lock(request(first, 0, 10))
  t.equal(stream.locks.conflictsWithRead(second, 0, { offset: 0n, length: 1n }), true)
  table.setDeletePending(first, true)
  t.equal(table.check(target, makeOpen(0)), 'delete-pending')
  t.equal(table.check({ ...target, stream: 'other' }, makeOpen(0)), 'ok', 'only this stream goes')
  t.same(table.detach(first), { lastOfStream: false, lastOfFile: false })
  t.equal(stream.locks.size, 0, 'locks go with their open')
  table.attach({ volumeId: 1n, fileId: 2n }, first)
  const { removed, ...detached } = table.detach(second)
  t.same(detached, { lastOfStream: true, lastOfFile: false, removeStream: first })
  t.equal(table.check(target, makeOpen(0)), 'delete-pending', 'until it is gone')
  removed?.()
  t.equal(table.findStream(target), undefined)
  t.same(log, ['+Sd/x', '+Sd/x', '-Sd/x', '+d/x', '-Sd/x'])
  for (const [at, open] of [directory, other, deep].entries()) {
    table.attach({ volumeId: 1n, fileId: BigInt(10 + at) }, open)
  }
  table.attach({ volumeId: 1n, fileId: 99n }, { ...makeOpen(0, 0, 'd/foreign'), root: {} })
  t.same([...table.opensBelow(root, 'd')], [first, deep])
  t.equal([...table.opensBelow(root, '')].length, 4)
  t.equal([...table.opens()].length, 5)
  const info = table.attach(target, second)
  table.renameStream(second, 'New')
  t.equal(table.findStream({ ...target, stream: 'NEW' }), info, 'a stream that is renamed keeps its opens')
  t.equal(table.findStream(target), undefined)
  table.detach(second)
  t.equal(table.findStream({ ...target, stream: 'new' }), undefined)
})
