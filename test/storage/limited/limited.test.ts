/** Volumes with a limit: the contract over both backends, and that no limit is passed, whatever is written, deleted and changed beside it. */

import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { FileHandle } from '../../../storage/file-system.ts'
import { LimitedFileSystem } from '../../../storage/limited/file-system.ts'
import { VolumeCounter } from '../../../storage/limited/volume-counter.ts'
import { createMemoryFileSystem } from '../../../storage/memory/file-system.ts'
import { createPosixFileSystem } from '../../../storage/posix/file-system.ts'
import { fileSystemContract } from '../../contract/file-system.ts'
import { Clock, GIB, KIB, MIB, NEVER_NATIVE, onEach, open, remove, used, walked, workers } from './volume.ts'

const isFull = { code: 'disk-full' }

await fileSystemContract(t, 'limited, in RAM', async () => {
  const fs = new LimitedFileSystem(createMemoryFileSystem(), { clock: new Clock(), limit: 64 * GIB })
  await fs.start()
  return { fs, canImpersonate: true, cleanup: () => fs.close() }
})
await fileSystemContract(t, 'limited, on disk', async () => {
  const root = await mkdtemp(join(tmpdir(), 'poolhouse-limited-'))
  const inner = await createPosixFileSystem({ root, workers })
  const fs = new LimitedFileSystem(inner, { clock: new Clock(), limit: 64 * GIB, native: NEVER_NATIVE })
  await fs.start()
  return {
    ...{ fs, canImpersonate: process.geteuid?.() === 0 },
    cleanup: async () => {
      await fs.close()
      await rm(root, { recursive: true })
    },
  }
})

await onEach('the limit is the size, and is not passed', 4 * MIB, async (t, volume) => {
  const { fs } = volume
  const before = await fs.space()
  t.equal(before.total, 4 * MIB)
  const file = await open(fs, 'file')
  await file.write(Buffer.alloc(3 * MIB, 1), 0)
  const after = await fs.space()
  t.equal(before.free - after.free, 3 * MIB)
  t.equal(after.available, after.free)
  await t.rejects(file.write(Buffer.alloc(2 * MIB, 2), 3 * MIB), isFull)
  t.equal((await file.stat()).size, 3 * MIB, 'nothing of it was written')
  await file.write(Buffer.alloc(after.free, 2), 3 * MIB)
  t.equal((await fs.space()).free, 0)
  await t.rejects(file.write(Buffer.alloc(1), 4 * MIB), isFull)
  await file.write(Buffer.alloc(3 * MIB, 3), 0)
  await file.write(Buffer.from('odd'), 5000)
  await file.change({ mode: 0o600 })
  await file.rename({ to: 'renamed', replace: false })
  await file.close()
  t.equal(await used(volume), await walked(volume))
  await remove(fs, 'renamed')
  t.same(await fs.space(), before, 'deleted from a full volume')
})

await onEach('writers at the same time do not pass it together', MIB, async (t, volume) => {
  const { fs } = volume
  const free = (await fs.space()).free
  const files = await Promise.all(Array.from({ length: 8 }, (_, index) => open(fs, `file${index}`)))
  const writes = files.flatMap((file, at) =>
    Array.from({ length: 8 }, (_, piece) => file.write(Buffer.alloc(64 * KIB, at), piece * 64 * KIB)),
  )
  const outcomes = await Promise.allSettled(writes)
  const written = outcomes.filter(({ status }) => status === 'fulfilled').length
  t.equal(written, Math.floor(free / (64 * KIB)), 'as many as fit')
  for (const outcome of outcomes) if (outcome.status === 'rejected') t.match(outcome.reason, isFull)
  t.ok((await used(volume)) <= MIB)
  t.equal(await used(volume), await walked(volume))
  await Promise.all(files.map((file) => file.close()))
})

await onEach('what is claimed for nothing is given back', 8 * MIB, async (t, volume) => {
  const file = await open(volume.fs, 'file')
  await file.write(Buffer.alloc(6 * MIB), 0)
  for (let round = 0; round < 20; round++) {
    await Promise.all([file.write(Buffer.alloc(3 * MIB), 0), file.write(Buffer.alloc(3 * MIB), 3 * MIB)])
  }
  t.equal(await used(volume), await walked(volume))
  await file.close()
})

await onEach('holes take nothing, reservations do', 4 * MIB, async (t, volume) => {
  const { fs } = volume
  const empty = await used(volume)
  const file = await open(fs, 'file')
  await file.setSize(4 * MIB)
  await file.write(Buffer.alloc(4096, 1), 2 * MIB)
  t.equal((await used(volume)) - empty, 4096)
  await t.rejects(file.setSize(4 * MIB + 1), isFull, 'more than could ever be filled')
  await file.zeroRange({ offset: 0, length: 4 * MIB })
  t.equal(await used(volume), empty)
  await t.rejects(file.setAllocation(5 * MIB), isFull)
  await file.setSize(0)
  await file.setAllocation(4 * MIB - empty)
  t.equal((await fs.space()).free, 0)
  await file.write(Buffer.alloc(3 * MIB, 2), 0)
  await t.rejects(
    open(fs, 'other').then((other) => other.write(Buffer.alloc(1), 0)),
    isFull,
  )
  await file.setSize(0)
  await file.setAllocation(0)
  await file.close()
  t.equal(await used(volume), await walked(volume))
})

await onEach('space comes back with the last name and the last handle', 8 * MIB, async (t, volume) => {
  const { fs, inner } = volume
  const filled = async (path: string): Promise<FileHandle> => {
    const file = await open(fs, path)
    await file.write(Buffer.alloc(MIB, 1), 0)
    return file
  }
  const base = await used(volume)
  const units = async (): Promise<number> => ((await used(volume)) - base) / MIB
  const [first, second] = [await filled('linked'), await open(fs, 'linked')]
  await first.link({ to: 'again', replace: false })
  t.equal(await units(), 1, 'two names, one file')
  await first.remove()
  await first.close()
  await second.close()
  t.equal(await units(), 1, 'it has another name')
  const open1 = await open(fs, 'again')
  await remove(fs, 'again')
  t.equal(await units(), 1, 'still open')
  await open1.close()
  t.equal(await units(), 0)
  const [old, fresh] = [await filled('old'), await filled('fresh')]
  await old.close()
  await fresh.rename({ to: 'old', replace: true })
  t.equal(await units(), 1, 'replaced by a rename')
  const copy = await open(fs, 'copy')
  t.equal(await copy.copyFrom(fresh, { offset: 0, length: MIB }, 0), MIB)
  t.equal(await units(), 2)
  await copy.overwrite(0)
  t.equal(await units(), 1)
  const outside = await open(inner, 'copy')
  t.equal(await copy.copyFrom(outside, { offset: 0, length: MIB }, 0), 0)
  for (const file of [fresh, copy, outside]) await file.close()
  t.equal(await used(volume), await walked(volume))
})

await onEach('forks grow and shrink as files do', 900 * KIB, async (t, volume) => {
  const { fs } = volume
  const base = await used(volume)
  const isNear = async (bytes: number, name: string): Promise<void> => {
    // A sidecar begins with what says that it is one.
    t.ok(Math.abs((await used(volume)) - base - bytes) <= 4 * KIB, name)
  }
  // Too large for an attribute: on disk it is in a sidecar.
  const fork = await open(fs, 'file', { stream: 'AFP_Resource' })
  await fork.write(Buffer.alloc(512 * KIB, 1), 0)
  await isNear(512 * KIB, 'written')
  await fork.write(Buffer.alloc(256 * KIB, 1), 512 * KIB)
  await isNear(768 * KIB, 'grown')
  await t.rejects(fork.write(Buffer.alloc(256 * KIB), 768 * KIB), isFull)
  await fork.write(Buffer.alloc(768 * KIB, 2), 0)
  await t.rejects(fork.setSize(1000 * KIB), isFull)
  await fork.setSize(800 * KIB)
  await fork.write(Buffer.alloc(256 * KIB, 3), 544 * KIB)
  await isNear(800 * KIB, 'written again where little is left')
  await fork.setSize(256 * KIB)
  await isNear(256 * KIB, 'cut')
  await fork.close()
  const again = await open(fs, 'file', { stream: 'AFP_Resource', disposition: 'open' })
  await again.write(Buffer.alloc(512 * KIB, 2), 128 * KIB)
  await isNear(640 * KIB, 'opened again')
  await again.setSize(0)
  await again.close()
  await isNear(0, 'gone')
  const sidecar = await open(fs, '._by its name')
  await sidecar.write(Buffer.alloc(512 * KIB, 1), 0)
  await sidecar.close()
  await isNear(512 * KIB, 'a file like others')
  t.ok(Math.abs((await used(volume)) - (await walked(volume))) <= 4 * KIB)
})

await onEach('what others change is noticed', 64 * MIB, async (t, volume) => {
  const { fs, inner, clock } = volume
  const before = await used(volume)
  const file = await open(inner, 'behind')
  await file.write(Buffer.alloc(MIB, 1), 0)
  t.equal(await used(volume), before)
  clock.pass(3_600_000)
  await fs.recount()
  t.equal((await used(volume)) - before, MIB)
  await file.setSize(0)
  await file.close()
  await fs.recount()
  t.equal(await used(volume), await walked(volume))
})

await onEach('limits change, come and go', 4 * MIB, async (t, volume) => {
  const { fs, inner } = volume
  const file = await open(fs, 'file')
  await file.write(Buffer.alloc(2 * MIB, 1), 0)
  await fs.setLimit(MIB)
  t.match(await fs.space(), { total: MIB, free: 0 }, 'less than is used')
  await t.rejects(file.write(Buffer.alloc(1), 3 * MIB), isFull)
  await fs.setLimit(undefined)
  t.equal((await fs.space()).total, (await inner.space()).total)
  await file.write(Buffer.alloc(3 * MIB, 1), 2 * MIB)
  const uncounted = await open(fs, 'uncounted')
  await uncounted.write(Buffer.alloc(MIB, 1), 0)
  await fs.setLimit(7 * MIB)
  t.equal(await used(volume), await walked(volume))
  await t.rejects(file.write(Buffer.alloc(2 * MIB), 5 * MIB), isFull)
  for (const one of [file, uncounted]) await one.close()
})

t.test('counted by an earlier run', async (t) => {
  const inner = createMemoryFileSystem()
  const file = await open(inner, 'file')
  await file.write(Buffer.alloc(3 * MIB, 1), 0)
  const fs = new LimitedFileSystem(inner, { clock: new Clock(), limit: 4 * MIB, used: 3 * MIB })
  const starting = fs.start()
  const other = await open(fs, 'other')
  await t.rejects(other.write(Buffer.alloc(2 * MIB), 0), isFull, 'holds before the tree was walked')
  await starting
  t.equal(fs.counted, 3 * MIB)
  await file.close()
  await other.close()
  await fs.close()
})

t.test('a file system that keeps the limit is asked', async (t) => {
  const inner = createMemoryFileSystem({ capacityBytes: MIB })
  const fs = new LimitedFileSystem(inner, { clock: new Clock(), limit: 2 * MIB })
  await fs.start()
  const file = await open(fs, 'file')
  await file.write(Buffer.alloc(MIB / 2, 1), 0)
  t.match(await fs.use(), { total: MIB, free: MIB / 2, used: MIB / 2, limit: 2 * MIB })
  t.equal(fs.counted, undefined)
  inner.faults.failNext('write', 'quota-exceeded')
  await t.rejects(file.write(Buffer.alloc(1), 0), isFull, 'a quota is no lack of permission')
  await fs.setLimit(MIB / 2)
  await t.rejects(file.write(Buffer.alloc(4096), MIB / 2), isFull, 'a smaller limit is counted')
  await file.close()
  await fs.close()
})

t.test('a walk amid changes moves the count no further than they leave open', async (t) => {
  const counter = new VolumeCounter(100 * MIB, 10 * MIB)
  let occupied = 0
  const handle = { stat: async () => ({ occupied, links: 1 }) }
  const node = counter.opened(1n, handle, 0, true)
  const write = (bytes: number) =>
    counter.write(node, bytes, async () => {
      occupied += bytes
    })
  await counter.beginWalk()
  await write(2 * MIB)
  t.equal(counter.endWalk(10 * MIB), 0, 'the file was not there yet')
  await counter.beginWalk()
  await write(2 * MIB)
  t.equal(counter.endWalk(14 * MIB), 0, 'the walk met it after the write')
  await counter.beginWalk()
  await write(2 * MIB)
  t.equal(counter.endWalk(20 * MIB), 4 * MIB, 'others have written 4 MiB at least')
  await counter.beginWalk()
  t.equal(counter.endWalk(16 * MIB), -4 * MIB, 'nothing was under way')
  t.equal(counter.used, 16 * MIB)
  const unknown = new VolumeCounter(100 * MIB, undefined)
  await unknown.beginWalk()
  unknown.met(5 * MIB)
  t.equal(unknown.used, 5 * MIB)
  t.equal(unknown.isKnown, false)
  unknown.endWalk(6 * MIB)
  t.match({ used: unknown.used, isKnown: unknown.isKnown }, { used: 6 * MIB, isKnown: true })
})

t.test('a tree on disk is added up as du does', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'poolhouse-limited-'))
  const fs = await createPosixFileSystem({ root, workers })
  for (let folder = 0; folder < 3; folder++) {
    await (await open(fs, `folder${folder}`, { kind: 'directory', write: false })).close()
    for (let file = 0; file < 700; file++) {
      await writeFile(
        join(root, `folder${folder}`, `a file with a rather long name ${'x'.repeat(80)}${file}`),
        'x'.repeat(file * 30),
      )
    }
  }
  await truncate(join(root, 'folder0', `a file with a rather long name ${'x'.repeat(80)}1`), GIB)
  execFileSync('ln', [
    join(root, 'folder0', `a file with a rather long name ${'x'.repeat(80)}9`),
    join(root, 'link'),
  ])
  const expected = Number(execFileSync('du', ['-s', '-B1', root]).toString().split('\t')[0])
  let steps = 0
  t.equal(await fs.occupied(() => ++steps > 0), expected)
  t.ok(steps > 2, 'in several jobs')
  t.equal(await fs.occupied(() => false), undefined)
  await fs.close()
  await rm(root, { recursive: true })
})
