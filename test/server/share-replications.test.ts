/** Replication in a running server: after backups, by the clock, again after a failure, and with what is below a share's dataset. */

import pino from 'pino'
import t from 'tap'
import { Events } from '../../server/events.ts'
import { ReplicationRefused } from '../../server/zfs/replicate.ts'
import { ShareReplications } from '../../server/zfs/share-replication.ts'
import { parsed } from './parsed.ts'

t.test('in the server', async (t) => {
  const text =
    '[[replicate]]\ndataset = "src/a"\nto = "box:a"\nevery = 2\n[[replicate]]\ndataset = "src/a"\nto = "box:b"\nafter_backup = false\n' +
    '[[replicate]]\ndataset = "src/c"\nto = "box:c"\n'
  const bus = new Events((error) => t.fail(String(error)))
  const ran: string[] = []
  let now = 0
  let failure: Error | undefined
  const replications = new ShareReplications(parsed(text), bus, {
    log: pino({ level: 'silent' }),
    now: () => now,
    run: async ({ id }) => {
      ran.push(id)
      if (failure) throw failure
      return { snapshot: 's', created: 0, bytes: 0 }
    },
  })
  const settled = async () => {
    await new Promise(setImmediate)
    return ran.splice(0)
  }
  bus.emit('snapshot taken', { dataset: 'src/a', reason: 'schedule' })
  t.same(await settled(), [])
  bus.emit('snapshot taken', { dataset: 'src/a', reason: 'backup' })
  bus.emit('snapshot taken', { dataset: 'src/a', reason: 'backup' })
  t.same(await settled(), ['box:a', 'box:a'], 'one after the other')
  const at = async (minutes: number) => {
    now = minutes * 60_000
    replications.look()
    return settled()
  }
  t.same(await at(119), [])
  failure = new Error('no route')
  t.same(await at(120), ['box:a'])
  t.same(await at(134), [])
  failure = new ReplicationRefused('diverged')
  t.same(await at(135), ['box:a'], 'tried again')
  t.same(await at(254), [], 'not so soon when it was refused')
  t.same(await at(255), ['box:a'])
  await replications.close()
  bus.emit('snapshot taken', { dataset: 'src/a', reason: 'backup' })
  t.same(await settled(), [])
})

t.test('in the server: datasets of accounts go with their share', async (t) => {
  const text =
    '[[share]]\nname = "homes"\ndataset = "src/homes"\nper_user = true\n' +
    '[[replicate]]\nshare = "homes"\nto = "box:dst/homes"\n'
  const bus = new Events((error) => t.fail(String(error)))
  const ran: string[] = []
  let now = 0
  let isBroken = false
  const replications = new ShareReplications(parsed(text), bus, {
    log: pino({ level: 'silent' }),
    now: () => now,
    children: async (dataset) => [`${dataset}/anna`, `${dataset}/bob`],
    run: async ({ id, source, target }) => {
      ran.push(`${source.dataset} ${target.dataset} ${id}`)
      if (isBroken && id.endsWith('bob')) throw new Error('no route')
      return { snapshot: 's', created: 0, bytes: 0 }
    },
  })
  const settled = async () => {
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
    return ran.splice(0)
  }
  const all = ['', '/anna', '/bob'].map((each) => `src/homes${each} dst/homes${each} box:dst/homes${each}`)
  bus.emit('snapshot taken', { dataset: 'src/homes/anna', reason: 'backup' })
  t.same(await settled(), all, 'what they are below first')
  bus.emit('snapshot taken', { dataset: 'src/homesteads', reason: 'backup' })
  t.same(await settled(), [], 'another dataset')
  isBroken = true
  bus.emit('snapshot taken', { dataset: 'src/homes', reason: 'backup' })
  t.same(await settled(), all)
  isBroken = false
  now += 900_000
  replications.look()
  t.same(await settled(), all, 'what failed is tried again')
  now += 900_000
  replications.look()
  t.same(await settled(), [])
  await replications.close()
})
