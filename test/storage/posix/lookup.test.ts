/** How names are found: in any case and form, by 8.3 name, through the index of a large folder, which is read only when it must be. */

import { mkdirSync, readdirSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { shortNameOf } from '../../../storage/names/short-name.ts'
import { decodeName, encodePath, wellFormed } from '../../../storage/posix/disk-name.ts'
import { hashOf, NameTable } from '../../../storage/posix/name-table.ts'
import { createWorkerPool } from '../../../storage/posix/worker-pool.ts'
import { withLab } from './lab.ts'

const workers = createWorkerPool({ size: 2 })
t.teardown(() => workers.close())
await workers.grow()

const CREATE = { disposition: 'create', write: true, read: false } as const
const COMPOSED = '\u00e4'
const DECOMPOSED = 'a\u0308'

async function scans(): Promise<number> {
  return (await workers.runInAll('scans', undefined)).reduce((sum, count) => sum + count, 0)
}

t.test('case and Unicode form', async (t) => {
  await withLab(t, workers, {}, async (lab) => {
    mkdirSync(lab.disk('Folder/Sub Folder'), { recursive: true })
    writeFileSync(lab.disk('Folder/Sub Folder/Report.TXT'), 'text')
    const found = await lab.open('FOLDER/sub folder/rePORT.txt')
    t.equal(found.path, 'Folder/Sub Folder/Report.TXT')
    t.equal(await found.handle.path(), 'Folder/Sub Folder/Report.TXT')
    await lab.refuses('folder/SUB FOLDER/report.txt', CREATE, 'exists')
    await lab.refuses('folder/none/report.txt', {}, 'path-not-found')
    await lab.refuses('folder/sub folder/none', {}, 'not-found')
    const made = await lab.open('folder/SUB folder/New', CREATE)
    t.equal(
      made.path,
      'Folder/Sub Folder/New',
      'what exists keeps its case, what is new has the one asked for',
    )

    // smbtorture smb2.charset: the decomposed form by OPEN_IF, then the composed one by CREATE.
    t.ok((await lab.open(DECOMPOSED, { ...CREATE, disposition: 'open-if' })).created)
    t.equal((await lab.open(COMPOSED)).path, DECOMPOSED, 'another form finds it')
    t.ok((await lab.open(COMPOSED, CREATE)).created, 'but does not keep it from being made')
    t.equal((await lab.open(COMPOSED)).path, COMPOSED)
    t.equal((await lab.open(DECOMPOSED)).path, DECOMPOSED)
    await lab.refuses(COMPOSED.toUpperCase(), CREATE, 'exists')
  })
})

t.test('names of the private range', async (t) => {
  await withLab(t, workers, {}, async (lab) => {
    const sent = 'a\uf022b\uf021 \uf028'
    t.equal((await lab.open(sent, CREATE)).path, sent)
    t.same(readdirSync(lab.root), ['a:b*  '], 'stored as themselves')
    t.same(await lab.names(''), [sent])
    writeFileSync(lab.disk('old\uf022name'), 'by another server')
    t.equal((await lab.open('old\uf022name')).path, 'old\uf022name', 'stored as sent: found all the same')
    t.same(await lab.names('', 'old*'), ['old\uf022name'])
  })
  await withLab(t, workers, { nameMapping: 'private' }, async (lab) => {
    await lab.open('a\uf022b', CREATE)
    t.same(readdirSync(lab.root), ['a\uf022b'], 'stored as sent')
    writeFileSync(lab.disk('c:d'), 'by another server')
    t.ok((await lab.open('c\uf022d')).ok, 'stored as itself: found all the same')
  })
})

t.test('names that are not UTF-8', async (t) => {
  await withLab(t, workers, {}, async (lab) => {
    const name = Buffer.from('caf\xe9-\xff.txt', 'latin1')
    writeFileSync(Buffer.concat([Buffer.from(`${lab.root}/`), name]), 'latin')
    const shown = 'caf\ufffd-\ufffd.txt'
    t.same(await lab.names(''), [shown])
    const file = await lab.handle(shown)
    t.equal(await lab.text(file), 'latin')
    t.equal(await file.rename({ to: 'proper', replace: false }), 'proper')
    t.same(readdirSync(lab.root), ['proper'])
  })
})

t.test('8.3 names', async (t) => {
  await withLab(t, workers, {}, async (lab) => {
    const long = 'A rather long name.document'
    const handle = await lab.file(long, 'text')
    const short = await handle.shortName()
    t.equal(short, shortNameOf(long))
    t.equal((await lab.open(short)).path, long)
    t.equal((await lab.open(short.toLowerCase())).path, long)
    t.same(await lab.names('', short), [long])
    await lab.refuses('X~000000.DOC', {}, 'not-found')
    const other = await lab.file('Another long name.document')
    t.equal((await lab.open(await other.shortName())).path, 'Another long name.document', 'also a later one')
  })
})

t.test('a folder of 100,000 entries is read once', async (t) => {
  const entries = 100_000
  await withLab(t, workers, {}, async (lab) => {
    mkdirSync(lab.disk('large'))
    for (let n = 0; n < entries; n++) writeFileSync(lab.disk(`large/Entry ${n}`), '')
    // What was written in the same tick as the scan would make the index look uncertain.
    await setTimeout(50)
    const before = await scans()
    for (let n = 0; n < 300; n++) {
      await (await lab.handle(`large/ENTRY ${n * 300}`, { read: false })).close()
      await lab.refuses(`large/none ${n}`, {}, 'not-found')
    }
    t.equal((await scans()) - before, 1, 'for 300 names in another case and 300 that are missing')
    for (let n = 0; n < 300; n++) {
      const handle = await lab.handle(`Large/new ${n}`, CREATE)
      if (n % 3 === 0) await handle.rename({ to: `large/Renamed ${n}`, replace: false })
      if (n % 3 === 1) await handle.remove()
      await handle.close()
      if (n % 3 === 0) await lab.refuses(`large/RENAMED ${n}`, CREATE, 'exists')
      if (n % 3 === 1) await lab.refuses(`large/NEW ${n}`, {}, 'not-found')
      if (n % 3 === 2) await (await lab.handle(`large/NEW ${n}`)).close()
    }
    t.ok((await scans()) - before <= 3, 'nor for our own changes, but for a look now and then')
  })
})

t.test('what others change is seen', async (t) => {
  await withLab(t, workers, {}, async (lab) => {
    mkdirSync(lab.disk('dir'))
    for (let n = 0; n < 200; n++) {
      writeFileSync(lab.disk(`dir/File ${n}`), '')
      t.equal((await lab.open(`dir/FILE ${n}`, { read: false })).path, `dir/File ${n}`)
    }
    const mine = await lab.handle('dir/Mine', CREATE)
    renameSync(lab.disk('dir/File 0'), lab.disk('dir/Other'))
    unlinkSync(lab.disk('dir/File 1'))
    t.equal((await lab.open('dir/OTHER')).path, 'dir/Other')
    await lab.refuses('dir/FILE 0', {}, 'not-found')
    await lab.refuses('dir/FILE 1', {}, 'not-found')
    t.equal(await mine.path(), 'dir/Mine')
    // In the tick of a change of ours: the times of the directory may not tell.
    for (let n = 0; n < 20; n++) {
      await (await lab.handle(`dir/ours ${n}`, CREATE)).close()
      writeFileSync(lab.disk(`dir/Theirs ${n}`), '')
    }
    await setTimeout(100)
    for (let n = 0; n < 20; n++) await (await lab.handle(`dir/THEIRS ${n}`)).close()
    t.pass('all were found')
  })
})

t.test('a table of names is a map', (t) => {
  const name = fc.string({ unit: 'grapheme', maxLength: 8 }).filter((text) => Buffer.byteLength(text) < 256)
  const step = fc.record({ add: fc.boolean(), name: fc.oneof(name, fc.constantFrom('a', 'b', 'A', 'c')) })
  // Few hashes, so that many names share one.
  const hash = (text: string) => hashOf(text) % 7
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const table = new NameTable(decodeName)
      const names = new Set<string>()
      for (const { add, name } of steps) {
        const bytes = Buffer.from(name)
        if (add && !names.has(name))
          table.add(hash(name), bytes, 0, bytes.length, () => hash(`other ${name}`))
        else if (!add) table.remove(hash(name), name)
        if (add) names.add(name)
        else names.delete(name)
        if (table.count !== names.size) return false
      }
      const isThere = (text: string) => table.find(hash(text), (stored) => stored === text) === text
      const other = (text: string) =>
        table.findOther(
          hash(`other ${text}`),
          (stored) => hash(`other ${stored}`),
          (stored) => stored === text,
        )
      const all = [...names].every((text) => isThere(text) && other(text) === text)
      return all && steps.every(({ name }) => isThere(name) === names.has(name))
    }),
  )
  const large = new NameTable(decodeName)
  for (let n = 0; n < 20_000; n++) {
    const bytes = Buffer.from(`name ${n}`)
    large.add(hashOf(`name ${n}`), bytes, 0, bytes.length, () => 0)
    if (n % 2 === 0) large.remove(hashOf(`name ${n}`), `name ${n}`)
  }
  t.equal(large.count, 10_000)
  t.equal(
    large.find(hashOf('name 19999'), (stored) => stored === 'name 19999'),
    'name 19999',
  )
  t.equal(
    large.find(hashOf('name 19998'), () => true),
    undefined,
  )
  t.end()
})

t.test('names on disk are bytes', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (array) => {
      const bytes = Buffer.from(array.map((byte) => (byte === 0 ? 1 : byte)))
      const name = decodeName(bytes, 0, bytes.length)
      const encoded = encodePath(name)
      const back = typeof encoded === 'string' ? Buffer.from(encoded) : encoded.subarray(0, -1)
      return back.equals(bytes) && Buffer.from(wellFormed(name)).toString() === wellFormed(name)
    }),
  )
  t.end()
})
