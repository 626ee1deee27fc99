/** Sparse bundles on volumes with a limit: what is available leaves room for full bands, whatever happens to bands and bundles. */

import { mkdir, rename as renameOnDisk, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { bandSizeOf } from '../../../server/backups/band-size.ts'
import type { FileSystem } from '../../../storage/file-system.ts'
import { LimitedFileSystem } from '../../../storage/limited/file-system.ts'
import { createMemoryFileSystem } from '../../../storage/memory/file-system.ts'
import { binaryPlist, xml } from '../../server/backup-files.ts'
import { Clock, KIB, MIB, NEVER_NATIVE, onEach, open, remove, used, type Volume, walked } from './volume.ts'

const BAND = 256 * KIB
const LIMIT = 16 * MIB
const MINUTE = 60_000
const FOLDER = { kind: 'directory', write: false } as const

const infoOf = (bandSize: number): Buffer =>
  xml(`<dict><key>band-size</key><integer>${bandSize}</integer></dict>`)

async function makeFolder(fs: FileSystem, path: string): Promise<void> {
  await (await open(fs, path, FOLDER)).close()
}

async function write(fs: FileSystem, path: string, content: Buffer): Promise<void> {
  const file = await open(fs, path)
  await file.setSize(0)
  await file.write(content, 0)
  await file.close()
}

async function rename(fs: FileSystem, from: string, to: string, replace = false): Promise<void> {
  const entry = await open(fs, from, { disposition: 'open', kind: 'any', read: false, write: false })
  await entry.rename({ to, replace })
  await entry.close()
}

/** A bundle with bands of a few bytes each. */
async function makeBundle(fs: FileSystem, name: string, bands: number, info = infoOf(BAND)): Promise<void> {
  await makeFolder(fs, name)
  await write(fs, `${name}/Info.plist`, info)
  await makeFolder(fs, `${name}/bands`)
  for (let band = 0; band < bands; band++) {
    await write(fs, `${name}/bands/${band.toString(16)}`, Buffer.from('band'))
  }
}

/** How many full bands are counted as taken; 0 where what is really used is more. */
async function bandsTaken({ fs }: Volume, bandSize = BAND): Promise<number> {
  const { total, free, available } = await fs.space()
  return available === free ? 0 : (total - available) / bandSize
}

/** That what is shown without a walk is what a walk finds. */
async function isExact(t: Test, volume: Volume, bands: number, name: string): Promise<void> {
  t.equal(await bandsTaken(volume), bands, name)
  await volume.fs.recount()
  t.equal(await bandsTaken(volume), bands, `${name}, by a walk`)
}

await onEach('bands take room as if they were full', LIMIT, async (t, volume) => {
  const { fs } = volume
  await makeBundle(fs, 'Mac.sparsebundle', 0)
  const none = await fs.space()
  t.equal(none.available, none.free, 'a bundle without bands')
  await makeBundle(fs, 'Mac.sparsebundle', 20)
  await isExact(t, volume, 20, 'twenty bands')
  const { free, blockSize } = await fs.space()
  t.equal(LIMIT - free, await walked(volume), 'what is free is what is really left')
  t.equal(await used(volume), await walked(volume))
  t.equal(blockSize, KIB)
  await remove(fs, 'Mac.sparsebundle/bands/0')
  const again = await open(fs, 'Mac.sparsebundle/bands/1')
  await again.write(Buffer.alloc(BAND, 1), 0)
  await again.close()
  for (const path of ['Mac.sparsebundle/bands/._2', 'Mac.sparsebundle/token', 'Mac.sparsebundle/mapped/1']) {
    if (path.includes('mapped')) await makeFolder(fs, 'Mac.sparsebundle/mapped')
    await write(fs, path, Buffer.from('no band'))
  }
  await isExact(t, volume, 19, 'one removed, one grown, others that are none')
  await makeBundle(fs, 'Image.sparsebundle', 10)
  await isExact(t, volume, 29, 'both bundles')
  const other = await open(fs, 'other')
  await other.write(Buffer.alloc(14 * MIB, 1), 0)
  const full = await fs.space()
  t.equal(full.available, full.free, 'the worse of the two figures')
  t.ok(full.available < 2 * MIB)
  await other.close()
})

await onEach('a write is refused by what is used, not by what may be', LIMIT, async (t, volume) => {
  const { fs } = volume
  await makeBundle(fs, 'Mac.sparsebundle', 70)
  t.equal((await fs.space()).available, 0)
  const band = await open(fs, 'Mac.sparsebundle/bands/0')
  await band.write(Buffer.alloc(BAND, 1), 0)
  t.ok((await fs.space()).free > 14 * MIB)
  await band.close()
  await write(fs, 'file', Buffer.alloc(8 * MIB, 1))
})

await onEach('bands and bundles are renamed', LIMIT, async (t, volume) => {
  const { fs, clock } = volume
  await makeBundle(fs, 'new.sparsebundle', 8)
  const band = await open(fs, 'new.sparsebundle/bands/3')
  await rename(fs, 'new.sparsebundle', 'Mac.sparsebundle')
  await isExact(t, volume, 8, 'under another name')
  await band.remove()
  await band.close()
  await isExact(t, volume, 7, 'removed by a handle from before')
  await rename(fs, 'Mac.sparsebundle/bands/0', 'kept')
  await isExact(t, volume, 6, 'moved out')
  await rename(fs, 'kept', 'Mac.sparsebundle/bands/1', true)
  await isExact(t, volume, 6, 'in the place of another')
  await rename(fs, 'Mac.sparsebundle/bands/1', 'Mac.sparsebundle/bands/ff')
  await rename(fs, 'Mac.sparsebundle/bands/ff', 'Mac.sparsebundle/bands/FF', true)
  await isExact(t, volume, 6, 'in another case')
  const linked = await open(fs, 'Mac.sparsebundle/bands/2')
  await linked.link({ to: 'Mac.sparsebundle/bands/20', replace: false })
  await linked.close()
  await isExact(t, volume, 7, 'two names are two bands')
  await rename(fs, 'Mac.sparsebundle/bands', 'Mac.sparsebundle/old')
  await isExact(t, volume, 0, 'without its bands')
  await rename(fs, 'Mac.sparsebundle/old', 'Mac.sparsebundle/bands')
  await fs.recount()
  t.equal(await bandsTaken(volume), 7, 'with them again')
  await rename(fs, 'Mac.sparsebundle', 'put away')
  await isExact(t, volume, 0, 'under a name that is none of a bundle')
  await rename(fs, 'put away', 'Mac.sparsebundle')
  // Nobody is told when that walk has ended.
  clock.pass(5 * MINUTE)
  for (let turn = 0; turn < 1000 && (await bandsTaken(volume)) === 0; turn++) await fs.space()
  t.equal(await bandsTaken(volume), 7, 'and back, by a walk that is due earlier')
})

await onEach('the size of bands is what Info.plist says by now', LIMIT, async (t, volume) => {
  const { fs } = volume
  const path = 'Mac.sparsebundle/Info.plist'
  await makeBundle(fs, 'Mac.sparsebundle', 4)
  t.equal(await bandsTaken(volume), 4)
  await write(fs, path, infoOf(2 * BAND))
  t.equal(await bandsTaken(volume), 8)
  await write(fs, path, Buffer.from('<dict>\n<key>band-size</key>\n<integer>262144</integer>\n</dict>\n'))
  t.equal(await bandsTaken(volume), 4, 'without an envelope')
  await write(fs, 'Mac.sparsebundle/new', binaryPlist({ 'band-size': BigInt(3 * BAND) }))
  await rename(fs, 'Mac.sparsebundle/new', path, true)
  t.equal(await bandsTaken(volume), 12, 'replaced, and binary')
  const real = LIMIT - (await fs.space()).free
  const unusable: Readonly<Record<string, Buffer>> = {
    'no list': Buffer.from('<dict><key>band-si'),
    nothing: Buffer.alloc(0),
    'another list': xml('<dict><key>size</key><integer>1</integer></dict>'),
    'a text': xml('<dict><key>band-size</key><string>8388608</string></dict>'),
    none: infoOf(0),
    'less than none': infoOf(-BAND),
    'more than hdiutil makes': infoOf(2 ** 33 + 512),
    'more than is counted exactly': xml(
      '<dict><key>band-size</key><integer>18446744073709551615</integer></dict>',
    ),
  }
  for (const [name, info] of Object.entries(unusable)) {
    await write(fs, path, info)
    const { free, available } = await fs.space()
    t.equal(available, free, name)
    t.ok(Math.abs(LIMIT - free - real) <= 4096)
  }
  await write(fs, path, Buffer.concat([infoOf(BAND), Buffer.alloc(64 * KIB, ' ')]))
  t.equal((await fs.space()).available, (await fs.space()).free, 'longer than such files are')
  await write(fs, path, infoOf(2 ** 33))
  t.equal((await fs.space()).available, 0, 'bands larger than the limit')
  await write(fs, path, infoOf(BAND))
  t.equal(await bandsTaken(volume), 4)
  await remove(fs, path)
  t.equal((await fs.space()).available, (await fs.space()).free, 'removed')
})

await onEach('what others do with bundles is found by a walk', LIMIT, async (t, volume) => {
  const { fs, inner } = volume
  await makeBundle(fs, 'Mac.sparsebundle', 4)
  await isExact(t, volume, 4, 'before')
  await makeBundle(inner, 'Mac.sparsebundle', 12, infoOf(2 * BAND))
  await makeBundle(inner, 'Behind.sparsebundle', 6)
  await fs.recount()
  t.equal(await bandsTaken(volume), 30, 'more bands, larger ones, another bundle')
  for (let band = 0; band < 6; band++) await remove(inner, `Behind.sparsebundle/bands/${band}`)
  await remove(inner, 'Mac.sparsebundle/bands/0')
  await fs.recount()
  t.equal(await bandsTaken(volume), 22, 'fewer')
})

await onEach(
  'bundles of local processes, with names that clients see as others',
  LIMIT,
  async (t, volume) => {
    // In RAM there are no other processes.
    if (volume.root === '') return
    const bundle = join(volume.root, 'A:B.sparsebundle')
    await mkdir(join(bundle, 'bands'), { recursive: true })
    await writeFile(join(bundle, 'Info.plist'), infoOf(KIB))
    // More than one job of the walk.
    for (let band = 0; band < 1500; band++) await writeFile(join(bundle, 'bands', band.toString(16)), '')
    await volume.fs.recount()
    t.equal(await bandsTaken(volume, KIB), 1500)
    await remove(volume.fs, 'A\uf022B.sparsebundle/bands/10')
    t.equal(await bandsTaken(volume, KIB), 1499)
    await renameOnDisk(bundle, join(volume.root, 'C.sparsebundle'))
    await volume.fs.recount()
    t.equal(await bandsTaken(volume, KIB), 1499)
    await rm(join(volume.root, 'C.sparsebundle'), { recursive: true })
    await volume.fs.recount()
    t.equal(await bandsTaken(volume, KIB), 0)
  },
)

t.test('after a restart the earlier figure holds until the tree was walked', async (t) => {
  const inner = createMemoryFileSystem()
  const options = { clock: new Clock(), limit: LIMIT, native: NEVER_NATIVE, bandSizeOf }
  const first = new LimitedFileSystem(inner, options)
  await first.start()
  await makeBundle(first, 'Mac.sparsebundle', 20)
  t.equal((await first.space()).available, LIMIT - 20 * BAND)
  const kept = { used: first.counted, bundleBytes: first.bundleBytes }
  t.equal(kept.bundleBytes, 20 * BAND)

  const later = new LimitedFileSystem(inner, { ...options, ...kept })
  const { limit: _, ...unlimited } = options
  t.equal((await later.space()).available, LIMIT - 20 * BAND, 'not walked yet')
  await remove(later, 'Mac.sparsebundle/bands/0')
  t.equal((await later.space()).available, LIMIT - 20 * BAND)
  await later.start()
  t.equal((await later.space()).available, LIMIT - 19 * BAND)
  t.equal(later.bundleBytes, 19 * BAND)

  const limitedLater = new LimitedFileSystem(inner, { ...unlimited, limit: undefined })
  await makeBundle(limitedLater, 'Other.sparsebundle', 3)
  await limitedLater.setLimit(LIMIT)
  t.equal((await limitedLater.space()).available, LIMIT - 22 * BAND, 'a limit that came later')
})

t.test('bands that come and go while the tree is walked', async (t) => {
  const inner = createMemoryFileSystem()
  await makeBundle(inner, 'Mac.sparsebundle', 10)
  let amid: () => Promise<void> = async () => undefined
  const walking: FileSystem = new Proxy(inner, {
    get: (target, key) => {
      if (key !== 'occupied') return Reflect.get(target, key)
      return async (...told: Parameters<FileSystem['occupied']>) => {
        const bytes = await target.occupied(...told)
        await amid()
        return bytes
      }
    },
  })
  const fs = new LimitedFileSystem(walking, {
    ...{ clock: new Clock(), limit: LIMIT, native: NEVER_NATIVE, bandSizeOf },
  })
  await fs.start()
  const bands = async (): Promise<number> => (LIMIT - (await fs.space()).available) / BAND
  t.equal(await bands(), 10)
  amid = async () => {
    await makeBundle(fs, 'Mac.sparsebundle', 14)
    await remove(fs, 'Mac.sparsebundle/bands/0')
    await makeBundle(fs, 'New.sparsebundle', 2)
    await rename(fs, 'New.sparsebundle', 'Newer.sparsebundle')
  }
  await fs.recount()
  t.equal(await bands(), 15, 'the walk did not see them')
  amid = async () => undefined
  await fs.recount()
  t.equal(await bands(), 15)
  await fs.close()
})
