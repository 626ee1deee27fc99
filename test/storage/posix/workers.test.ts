/** The threads of the posix backend: one until jobs stand in line, then all, amid whatever is going on. */

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { createWorkerPool } from '../../../storage/posix/worker-pool.ts'
import { withLab } from './lab.ts'

const SIZE = 3
const FILES = 150
const FOLDERS = 8
const NAMES = 12
const CREATE = { disposition: 'create', write: true } as const

t.test('other threads take over amid a listing and creations', async (t) => {
  const workers = createWorkerPool({ size: SIZE })
  t.teardown(() => workers.close())
  const threads = async () => (await workers.runInAll('scans', undefined)).length
  await withLab(t, workers, {}, async (lab) => {
    mkdirSync(lab.disk('listed'))
    for (let file = 0; file < FILES; file++) writeFileSync(lab.disk(`listed/${file}`), '')
    for (let folder = 0; folder < FOLDERS; folder++) mkdirSync(lab.disk(`folder ${folder}`))
    const handles = [await lab.handle('listed'), await lab.handle('')]
    t.equal(await threads(), 1, 'one request after the other needs one thread')
    const cursors = await Promise.all(
      handles.map((handle) => handle.list({ pattern: '*', hideUnreadable: false })),
    )
    const begun = await Promise.all(cursors.map((cursor) => cursor.next(5)))

    const makings: Promise<boolean>[] = []
    for (let name = 0; name < NAMES; name++) {
      for (let folder = 0; folder < FOLDERS; folder++) {
        for (const path of [`folder ${folder}/name ${name}`, `folder ${folder}/NAME ${name}`]) {
          makings.push(
            lab.open(path, CREATE).then(
              () => true,
              () => false,
            ),
          )
        }
      }
      // They come while the threads start, when they take over, and afterwards.
      if (name >= NAMES / 2) await workers.grow()
    }
    const made = await Promise.all(makings)
    t.equal(await threads(), SIZE)
    for (let pair = 0; pair < made.length; pair += 2) {
      if (made[pair] === made[pair + 1]) t.fail(`creation ${pair} in two cases: both ${made[pair]}`)
    }
    for (let folder = 0; folder < FOLDERS; folder++) {
      t.equal(readdirSync(lab.disk(`folder ${folder}`)).length, NAMES, 'one of each two')
    }
    for (const [index, expected] of [FILES + 2, FOLDERS + 3].entries()) {
      const rest = (await cursors[index]?.next(FILES * 2)) ?? []
      t.equal((begun[index]?.length ?? 0) + rest.length, expected, 'listings go on where they began')
    }
    await withLab(t, workers, {}, async (second) => {
      for (const name of ['a', 'b', 'c', 'd']) await second.open(name, CREATE)
      t.same(await second.names(''), ['a', 'b', 'c', 'd'], 'all threads know a share that comes later')
    })
  })
})

t.test('closed while the others start', async (t) => {
  const workers = createWorkerPool({ size: SIZE })
  await withLab(t, workers, {}, async (lab) => {
    const growing = workers.grow()
    mkdirSync(lab.disk('folder'))
    await lab.handle('folder')
    await workers.close()
    await growing
    await t.rejects(workers.run(1, 'scans', undefined), /worker pool was closed/)
  })
})
