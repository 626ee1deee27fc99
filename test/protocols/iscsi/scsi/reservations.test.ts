/** RESERVE and persistent reservations (SPC-2 5.5, SPC-4 5.12). */

import t from 'tap'
import type { PersistentRecord } from '../../../../protocols/iscsi/scsi/persistent-reservations.ts'
import { BLOCK, blockCdb, hex, type Initiator, scene } from './lab.ts'

const TEST_UNIT_READY = '00 00000000 00'
const RESERVE = '16 00 00 0000 00'
const RELEASE = '17 00 00 0000 00'
const KEY_A = 0xaaaan
const KEY_B = 0xbbbbn
const block = Buffer.alloc(BLOCK, 1)

const Action = {
  register: 0,
  reserve: 1,
  release: 2,
  clear: 3,
  preempt: 4,
  preemptAndAbort: 5,
  registerAndIgnore: 6,
  registerAndMove: 7,
}

function list(key: bigint, actionKey: bigint, flags = 0): Buffer {
  const bytes = Buffer.alloc(24)
  bytes.writeBigUInt64BE(key, 0)
  bytes.writeBigUInt64BE(actionKey, 8)
  bytes[20] = flags
  return bytes
}

const out = (who: Initiator, action: number, type: number, parameters: Buffer): Promise<string> =>
  who.outcome(`5f ${hex(action, 2)} ${hex(type, 2)} 0000 ${hex(parameters.length, 8)} 00`, {
    out: parameters,
  })
const register = (who: Initiator, key: bigint, actionKey: bigint, flags = 0) =>
  out(who, Action.register, 0, list(key, actionKey, flags))
const into = async (who: Initiator, action: number, length = 0x400): Promise<Buffer> =>
  (await who.run(`5e ${hex(action, 2)} 0000000000 ${hex(length, 4)} 00`)).data

async function keys(who: Initiator): Promise<string[]> {
  const data = await into(who, 0)
  return Array.from({ length: data.readUInt32BE(4) / 8 }, (_, index) =>
    data.readBigUInt64BE(8 + 8 * index).toString(16),
  )
}

/** [key, type] or nothing. */
async function held(who: Initiator): Promise<[string, number] | undefined> {
  const data = await into(who, 1)
  return data.readUInt32BE(4) === 0 ? undefined : [data.readBigUInt64BE(8).toString(16), data[21] ?? 0]
}

const generation = async (who: Initiator): Promise<number> => (await into(who, 0)).readUInt32BE(0)
const reads = (who: Initiator) => who.outcome(blockCdb(0x28, 0, 1))
const writes = (who: Initiator) => who.outcome(blockCdb(0x2a, 0, 1), { out: block })

t.test('RESERVE(6) keeps others from all but a few commands, until its session ends', async (t) => {
  const { alice, initiator, target } = await scene()
  const bob = await initiator('bob')
  const ends: [string, () => unknown][] = [
    ['RELEASE', () => alice.run(RELEASE)],
    ['logout', () => alice.logout()],
    ['unit reset', () => target.resetLogicalUnit(0n)],
    ['target reset', () => target.resetTarget()],
  ]
  for (const [what, end] of ends) {
    await alice.clear()
    t.equal(await alice.outcome(RESERVE), 'good')
    t.equal(await alice.outcome(RESERVE), 'good', 'again')
    for (const cdb of [
      RESERVE,
      TEST_UNIT_READY,
      '1a 00 3f 00 ff 00',
      blockCdb(0x28, 0, 1),
      '25 00 00000000 0000 00 00',
    ]) {
      t.equal(await bob.outcome(cdb), 'conflict', cdb)
    }
    t.equal(await register(bob, 0n, KEY_B), 'conflict')
    t.equal(await bob.outcome('12 00 00 00ff 00'), 'good')
    t.equal(await bob.outcome('a0 00 00 000000 00000100 00 00'), 'good')
    t.equal(await bob.outcome(RELEASE), 'good')
    t.equal(await bob.outcome(RESERVE), 'conflict', 'a RELEASE of others does nothing')
    t.equal(await writes(alice), 'good')
    await end()
    await bob.clear()
    t.equal(await bob.outcome(RESERVE), 'good', what)
    t.equal(await bob.outcome(RELEASE), 'good')
  }
  await alice.clear()
  t.equal(await alice.outcome('16 10 00 0000 00'), '05/2400', 'for a third party')
})

t.test('registrations', async (t) => {
  const { alice, initiator } = await scene()
  const bob = await initiator('bob')
  t.same(await keys(alice), [])
  t.equal(await generation(alice), 0)
  t.equal(await register(alice, KEY_A, KEY_A), 'conflict', 'a key that is not there')
  t.equal(await register(alice, 0n, 0n), 'good')
  t.equal(await generation(alice), 0, 'nothing happened')
  t.equal(await register(alice, 0n, KEY_A), 'good')
  t.equal(await register(alice, 0n, KEY_B), 'conflict', 'registered already')
  t.equal(await register(alice, KEY_A, KEY_B), 'good')
  t.equal(await out(bob, Action.registerAndIgnore, 0, list(0x1234n, KEY_A)), 'good')
  t.same(await keys(bob), ['bbbb', 'aaaa'])
  t.equal(await generation(bob), 3)
  const cut = await into(bob, 0, 8)
  t.same([cut.length, cut.readUInt32BE(4)], [8, 16], 'cut short, with its whole length')
  t.equal(await out(alice, Action.register, 0, list(KEY_B, 0n).subarray(0, 20)), '05/1a00')
  t.equal(await out(alice, Action.register, 0, list(KEY_B, 0n, 0x08)), '05/2600', 'SPEC_I_PT')
  t.equal(await out(alice, Action.register, 0, list(KEY_B, 0n, 0x04)), '05/2600', 'ALL_TG_PT')
  t.equal(await out(alice, 9, 0, list(KEY_B, 0n)), '05/2400')
  t.equal((await alice.run('5e 09 0000000000 00ff 00')).sense, '05/2400')
  const capabilities = await into(alice, 2)
  t.same([...capabilities], [0, 8, 1, 0x80, 0xea, 0x01, 0, 0])
  t.equal(await register(alice, KEY_B, 0n), 'good')
  alice.logout()
  bob.logout()
  bob.login()
  await bob.clear()
  t.same(await keys(bob), ['aaaa'], 'they outlive sessions')
  t.equal(await bob.outcome(RESERVE), 'conflict', 'the two kinds exclude each other')
  const full = await into(bob, 3)
  t.equal(full.readUInt32BE(4), full.length - 8)
  t.equal(full.readBigUInt64BE(8), KEY_A)
  t.equal(full.readUInt16BE(8 + 18), 1)
  t.equal(full[32], 0x45)
  t.equal(full.toString('utf8', 36).replace(/\0+$/, ''), bob.nexus.initiatorPort)
})

t.test('each type keeps from what it is to, and lets registrants through where it says so', async (t) => {
  for (const [type, othersRead, registrantsAccess] of [
    [1, 'good', 'conflict'],
    [3, 'conflict', 'conflict'],
    [5, 'good', 'good'],
    [6, 'conflict', 'good'],
    [7, 'good', 'good'],
    [8, 'conflict', 'good'],
  ] as const) {
    const { alice, initiator } = await scene()
    const [bob, carol] = [await initiator('bob'), await initiator('carol')]
    await register(alice, 0n, KEY_A)
    await register(bob, 0n, KEY_B)
    const name = `type ${type}`
    t.equal(await out(carol, Action.reserve, type, list(KEY_A, 0n)), 'conflict', `${name}: not registered`)
    t.equal(await out(alice, Action.reserve, type, list(KEY_B, 0n)), 'conflict', `${name}: a wrong key`)
    t.equal(await out(alice, Action.reserve, type, list(KEY_A, 0n)), 'good', name)
    t.equal(await out(alice, Action.reserve, type, list(KEY_A, 0n)), 'good', `${name}: again`)
    t.equal(await out(alice, Action.reserve, type === 1 ? 3 : 1, list(KEY_A, 0n)), 'conflict')
    t.same(await held(carol), [type >= 7 ? '0' : 'aaaa', type])
    t.equal(await reads(carol), othersRead, `${name}: others read`)
    t.equal(await writes(carol), 'conflict', `${name}: others write`)
    t.equal(await reads(bob), registrantsAccess === 'good' ? 'good' : othersRead)
    t.equal(await writes(bob), registrantsAccess, `${name}: registrants write`)
    t.equal(await writes(alice), 'good')
    t.equal(await carol.outcome(TEST_UNIT_READY), 'good')
    t.equal(await carol.outcome('12 00 00 00ff 00'), 'good')
    t.equal(await carol.outcome('1a 00 3f 00 ff 00'), 'conflict')
    t.equal(await carol.outcome('1b 00 00 00 01 00'), 'good', 'START')
    t.equal(await carol.outcome('1b 00 00 00 00 00'), 'conflict', 'STOP')
    t.equal(await carol.outcome('48 82 0000000000 0000 00'), 'conflict', 'SANITIZE')

    t.equal(await out(alice, Action.release, type === 1 ? 3 : 1, list(KEY_A, 0n)), '05/2604')
    t.equal(await out(alice, Action.release, type, list(KEY_A, 0n)), 'good')
    t.equal(await alice.outcome(TEST_UNIT_READY), 'good', 'who releases hears nothing')
    t.equal(await bob.outcome(TEST_UNIT_READY), type >= 5 ? '06/2a04' : 'good')
    t.equal(await carol.outcome(TEST_UNIT_READY), 'good')
    t.equal(await held(carol), undefined)

    await out(alice, Action.reserve, type, list(KEY_A, 0n))
    t.equal(await register(alice, KEY_A, 0n), 'good', `${name}: the holder unregisters`)
    t.same(await held(carol), type >= 7 ? ['0', type] : undefined)
    t.equal(await bob.outcome(TEST_UNIT_READY), type === 5 || type === 6 ? '06/2a04' : 'good')
    t.equal(await alice.outcome(TEST_UNIT_READY), 'good')
    await register(bob, KEY_B, 0n)
    t.equal(await held(carol), undefined)
  }
  const { alice } = await scene()
  await register(alice, 0n, KEY_A)
  for (const type of [0, 2, 4, 9, 0x11]) {
    t.equal(await out(alice, Action.reserve, type, list(KEY_A, 0n)), '05/2400', `type ${type}`)
  }
})

t.test('CLEAR, PREEMPT and PREEMPT AND ABORT', async (t) => {
  const { alice, initiator, target } = await scene()
  const [bob, carol] = [await initiator('bob'), await initiator('carol')]
  const aborted: string[] = []
  target.onAbort = (lun, nexus) => aborted.push(`${lun} ${nexus.initiatorPort}`)
  await register(alice, 0n, KEY_A)
  await register(bob, 0n, KEY_B)
  await register(carol, 0n, 0xccccn)
  await out(alice, Action.reserve, 5, list(KEY_A, 0n))
  t.equal(await generation(alice), 3)
  t.equal(await out(bob, Action.preempt, 1, list(KEY_B, KEY_A)), 'good')
  t.equal(await generation(bob), 4)
  t.same(await held(bob), ['bbbb', 1])
  t.same((await keys(bob)).sort(), ['bbbb', 'cccc'])
  t.equal(await alice.outcome(TEST_UNIT_READY), '06/2a05', 'its registration was preempted')
  t.equal(await carol.outcome(TEST_UNIT_READY), '06/2a04', 'the reservation is another')
  t.equal(await bob.outcome(TEST_UNIT_READY), 'good')
  t.equal(await writes(alice), 'conflict')
  t.equal(await out(bob, Action.preempt, 1, list(KEY_B, 0x9999n)), 'conflict', 'nobody has that key')
  t.equal(await out(bob, Action.preempt, 1, list(KEY_B, 0n)), '05/2600')
  t.equal(await out(bob, Action.preempt, 1, list(KEY_B, 0xccccn)), 'good', 'of a registrant')
  t.same(aborted, [])
  t.equal(await carol.outcome(TEST_UNIT_READY), '06/2a05')
  t.same(await held(bob), ['bbbb', 1])
  await register(carol, 0n, 0xccccn)
  t.equal(await out(carol, Action.preemptAndAbort, 3, list(0xccccn, KEY_B)), 'good')
  t.same(aborted, [`0 ${bob.nexus.initiatorPort}`])
  t.same(await held(carol), ['cccc', 3])
  await bob.clear()
  await register(bob, 0n, KEY_B)
  const before = await generation(bob)
  t.equal(await out(bob, Action.clear, 0, list(KEY_A, 0n)), 'conflict')
  t.equal(await out(bob, Action.clear, 0, list(KEY_B, 0n)), 'good')
  t.same([await generation(bob), await keys(bob), await held(bob)], [before + 1, [], undefined])
  t.equal(await carol.outcome(TEST_UNIT_READY), '06/2a03')
  t.equal(await bob.outcome(TEST_UNIT_READY), 'good')

  await register(alice, 0n, KEY_A)
  await register(bob, 0n, KEY_B)
  await out(alice, Action.reserve, 8, list(KEY_A, 0n))
  t.equal(await out(bob, Action.preempt, 6, list(KEY_B, 0n)), 'good', 'of all registrants')
  t.same([await held(bob), await keys(bob)], [['bbbb', 6], ['bbbb']])
})

t.test('REGISTER AND MOVE', async (t) => {
  const { alice, initiator } = await scene()
  const bob = await initiator('bob')
  const name = Buffer.from(`${bob.nexus.initiatorPort}\0`)
  const id = Buffer.alloc(4 + Math.ceil(name.length / 4) * 4)
  id[0] = 0x45
  id.writeUInt16BE(id.length - 4, 2)
  name.copy(id, 4)
  const head = (key: bigint, actionKey: bigint, unregister: boolean, port = 1) => {
    const bytes = Buffer.alloc(24)
    bytes.writeBigUInt64BE(key, 0)
    bytes.writeBigUInt64BE(actionKey, 8)
    bytes[17] = unregister ? 2 : 0
    bytes.writeUInt16BE(port, 18)
    bytes.writeUInt32BE(id.length, 20)
    return Buffer.concat([bytes, id])
  }
  const move = (parameters: Buffer) => out(alice, Action.registerAndMove, 0, parameters)
  await register(alice, 0n, KEY_A)
  t.equal(await move(head(KEY_A, KEY_B, true)), 'conflict', 'nothing is reserved')
  await out(alice, Action.reserve, 3, list(KEY_A, 0n))
  t.equal(await move(head(KEY_A, 0n, true)), '05/2600')
  t.equal(await move(head(KEY_A, KEY_B, true, 9)), '05/2600', 'no such port')
  t.equal(await move(head(KEY_A, KEY_B, true).subarray(0, 30)), '05/2600', 'a TransportID cut short')
  t.equal(await move(head(KEY_A, KEY_B, true)), 'good')
  t.same([await keys(bob), await held(bob)], [['bbbb'], ['bbbb', 3]])
  t.equal(await writes(alice), 'conflict')
  t.equal(await writes(bob), 'good')
})

t.test('with APTPL they outlive the server, without they do not', async (t) => {
  const records = new Map<number, PersistentRecord>()
  const { alice } = await scene({ records })
  await register(alice, 0n, KEY_A)
  t.equal(records.size, 0)
  t.equal(await register(alice, KEY_A, KEY_A, 1), 'good')
  await out(alice, Action.reserve, 3, list(KEY_A, 0n))
  t.equal((await into(alice, 2))[3], 0x81, 'PTPL_A')
  const after = await scene({ records })
  const bob = await after.initiator('bob')
  t.same([await keys(bob), await held(bob)], [['aaaa'], ['aaaa', 3]])
  t.equal(await generation(bob), 0)
  t.equal(await reads(bob), 'conflict')
  t.equal(await writes(after.alice), 'good', 'known by its name')
  t.equal(await register(after.alice, KEY_A, 0n), 'good')
  t.equal(records.size, 0, 'nothing is left to keep')
})
