/** What a unit says of itself, its mode pages and its commands (SPC-4 6 and 7). */

import t from 'tap'
import { identityOf } from '../../../../protocols/iscsi/scsi/identity.ts'
import { MemoryDisk } from '../../../../storage/memory/block-device.ts'
import { type Answer, BLOCK, BLOCKS, blockCdb, hex, type Initiator, scene } from './lab.ts'

const TEST_UNIT_READY = '00 00000000 00'
const page = (alice: Initiator, code: number, length = 0x400): Promise<Answer> =>
  alice.run(`12 01 ${hex(code, 2)} ${hex(length, 4)} 00`)

t.test('INQUIRY', async (t) => {
  const { alice } = await scene()
  const { data } = await alice.run('12 00 00 01ff 00')
  t.equal(data.length, 96)
  t.same([data[0], data[1], data[2], (data[3] ?? 0) & 0xcf], [0, 0, 6, 2])
  t.equal(data[4], data.length - 5)
  t.equal((data[5] ?? 0) & 1, 0, 'no PROTECT')
  t.equal((data[7] ?? 0) & 2, 2, 'CMDQUE')
  t.match(data.toString('latin1', 8, 36), /^[\x20-\x7e]{28}$/)
  const versions = Array.from({ length: 8 }, (_, index) => data.readUInt16BE(58 + 2 * index))
  t.same(versions.slice(0, 4), [0x00a0, 0x0460, 0x04c0, 0x0960])
  for (let length = 5; length < 256; length++) {
    const answer = await alice.run(`12 00 00 ${hex(length, 4)} 00`)
    t.ok(answer.status === 0 && answer.data.equals(data.subarray(0, length)))
  }
  t.same((await alice.run('12 00 00 0200 00')).data, data)
  t.equal(await alice.outcome('12 00 83 00ff 00'), '05/2400', 'a page without EVPD')
  t.equal(await alice.outcome('12 02 00 00ff 00'), '05/2400', 'CMDDT')
  const removable = await scene({ removable: true })
  t.equal((await removable.alice.run('12 00 00 00ff 00')).data[1], 0x80)
})

t.test('vital product data', async (t) => {
  const { alice } = await scene()
  const { data } = await page(alice, 0)
  const codes = [...data.subarray(4)]
  t.same(codes, [0x00, 0x80, 0x83, 0x86, 0x8f, 0xb0, 0xb1, 0xb2])
  for (const code of codes) {
    const answer = await page(alice, code)
    t.equal(answer.data[1], code)
    t.equal(answer.data.readUInt16BE(2), answer.data.length - 4)
  }
  t.equal((await page(alice, 0x84)).sense, '05/2400')

  const serial = (await page(alice, 0x80)).data.toString('latin1', 4)
  t.match(serial, /^[0-9A-F]{16}$/)
  const again = await scene()
  t.equal((await page(again.alice, 0x80)).data.toString('latin1', 4), serial, 'the same after a restart')
  const third = (await alice.run('12 01 80 00ff 00', { lun: 3n })).data.toString('latin1', 4)
  t.not(third, serial)

  const designators: [number, number, Buffer][] = []
  const identification = (await page(alice, 0x83)).data
  for (let at = 4; at < identification.length; ) {
    const length = identification[at + 3] ?? 0
    const type = identification[at + 1] ?? 0
    designators.push([type & 0x0f, (type >> 4) & 3, identification.subarray(at + 4, at + 4 + length)])
    at += 4 + length
  }
  const naa = designators.find(([type, association]) => type === 3 && association === 0)?.[2]
  t.equal(naa?.length, 8)
  t.equal((naa?.[0] ?? 0) >> 4, 3)
  const names = designators.filter(([type]) => type === 8).map(([, , name]) => name)
  t.same(
    names.map((name) => name.toString().replace(/\0+$/, '')),
    ['iqn.2026-11.test:target,t,0x0001', 'iqn.2026-11.test:target'],
  )
  t.ok(names.every((name) => name.length % 4 === 0 && name.at(-1) === 0))

  const limits = (await page(alice, 0xb0)).data
  t.equal(limits.readUInt16BE(2), 0x3c)
  t.ok((limits[5] ?? 0) >= 1)
  t.equal((limits[4] ?? 0) & 1, 1, 'WSNZ')
  t.same([limits.readUInt32BE(20), limits.readUInt32BE(24)], [0xffff_ffff, 256])
  t.same([limits.readUInt32BE(28), limits.readUInt32BE(32)], [8, 0x8000_0000], 'granularity of 4096 bytes')
  t.equal((await page(alice, 0xb2)).data[5], 0xe4)
  const thick = await scene({ disk: new MemoryDisk({ size: BLOCKS * BLOCK, canDiscard: false }) })
  t.equal((await page(thick.alice, 0xb2)).data[5], 0)
  t.same((await page(thick.alice, 0xb0)).data.readUInt32BE(20), 0)
})

t.test('REPORT LUNS, and LUNs that are not there', async (t) => {
  const { alice } = await scene()
  const { data } = await alice.run('a0 00 00 000000 00000100 00 00')
  t.same(data, Buffer.from('00000010 00000000 0000000000000000 0003000000000000'.replaceAll(' ', ''), 'hex'))
  t.same((await alice.run('a0 00 02 000000 00000100 00 00', { lun: 9n })).data, data, 'also asked there')
  t.equal((await alice.run('a0 00 01 000000 00000100 00 00')).data.readUInt32BE(0), 0)
  t.equal(await alice.outcome('a0 00 03 000000 00000100 00 00'), '05/2400')
  t.equal((await alice.run('12 00 00 00ff 00', { lun: 9n })).data[0], 0x7f)
  t.equal(await alice.outcome(TEST_UNIT_READY, { lun: 9n }), '05/2500')
  t.equal(await alice.outcome(blockCdb(0x28, 0, 1), { lun: 9n }), '05/2500')
  t.equal((await alice.run('03 00 0000 ff 00', { lun: 9n })).data[12], 0x25)
  t.equal(await alice.outcome(TEST_UNIT_READY, { lun: 0x4003n }), 'good', 'flat space addressing')
  t.equal(await alice.outcome('d0 00000000 00'), '05/2000', 'an opcode that is not there')
  t.equal(await alice.outcome('9e 15 00000000000000000000000000 00'), '05/2400', 'a service action')
  t.equal(await alice.outcome('00 00000000 04'), '05/2400', 'NACA')
  t.equal(await alice.outcome('28 00'), '05/2400', 'half a CDB')
})

t.test('READ CAPACITY, and growth', async (t) => {
  const { alice, disk, initiator } = await scene()
  const bob = await initiator('bob')
  const ten = (await alice.run('25 00 00000000 0000 00 00')).data
  t.same([ten.readUInt32BE(0), ten.readUInt32BE(4)], [BLOCKS - 1, BLOCK])
  const full = (await alice.run('9e 10 0000000000000000 00000020 00 00')).data
  t.same([Number(full.readBigUInt64BE(0)), full.readUInt32BE(8)], [BLOCKS - 1, BLOCK])
  t.same([full[12], full[13], full[14]], [0, 3, 0xc0])
  for (let length = 0; length < 16; length++) {
    const cut = await alice.run(`9e 10 0000000000000000 ${hex(length, 8)} 00 00`)
    t.ok(cut.status === 0 && cut.data.equals(full.subarray(0, length)))
  }
  const large = (await alice.run('9e 10 0000000000000000 00000020 00 00', { lun: 3n })).data
  t.same([large.readUInt32BE(8), large[13]], [4096, 0])
  await disk.refresh(2 * BLOCKS * BLOCK)
  t.equal((await alice.run('25 00 00000000 0000 00 00')).data.readUInt32BE(0), 2 * BLOCKS - 1)
  t.equal(await bob.outcome(TEST_UNIT_READY), '06/2a09', 'others hear of it')
  t.equal(await alice.outcome(TEST_UNIT_READY), 'good')
  t.equal(await alice.outcome(blockCdb(0x28, 2 * BLOCKS - 1, 1)), 'good')
})

t.test('disks come, go and grow while they are in use', async (t) => {
  const { alice, initiator, target, disk } = await scene()
  const bob = await initiator('bob')
  const luns = async (who: Initiator) =>
    (await who.run('a0 00 00 000000 00000100 00 00')).data.readUInt32BE(0) / 8
  const both = [alice, bob]
  await target.refresh(0)
  t.equal(await alice.outcome(TEST_UNIT_READY), 'good', 'nothing has changed')
  await target.refresh(0, 2 * BLOCKS * BLOCK)
  for (const who of both) {
    t.equal(await who.outcome(TEST_UNIT_READY, { lun: 3n }), 'good')
    t.equal(await who.outcome(blockCdb(0x28, 0, 1)), '06/2a09', 'CAPACITY DATA HAS CHANGED')
    t.equal((await who.run('25 00 00000000 0000 00 00')).data.readUInt32BE(0), 2 * BLOCKS - 1)
  }
  const device = new MemoryDisk({ size: 1024 * BLOCK })
  const unit = {
    id: 1,
    device,
    identity: identityOf('test 1'),
    blockSize: 512,
    physicalBlockSize: 4096,
  } as const
  target.add({ ...unit, readOnly: false, removable: false, thin: true })
  t.throws(() => target.add({ ...unit, readOnly: false, removable: false, thin: true }), /1 already/)
  t.equal(await alice.outcome(TEST_UNIT_READY), '06/3f0e', 'REPORTED LUNS DATA HAS CHANGED')
  t.equal(await alice.outcome(TEST_UNIT_READY, { lun: 3n }), '06/3f0e', 'on each LUN')
  t.equal(await bob.outcome('12 00 00 00ff 00'), 'good', 'INQUIRY passes')
  t.equal(await luns(bob), 3)
  t.equal(await bob.outcome(TEST_UNIT_READY), 'good', 'who has asked knows')
  t.equal(await bob.outcome(TEST_UNIT_READY, { lun: 3n }), 'good')
  for (const who of both) {
    t.equal(await who.outcome(TEST_UNIT_READY, { lun: 1n }), '06/2900', 'new to it')
    await who.clear(1n)
  }
  t.equal(await bob.outcome(blockCdb(0x2a, 0, 1), { lun: 1n, out: Buffer.alloc(BLOCK, 1) }), 'good')

  let go: () => void = () => undefined
  device.faults.delayNext('write', new Promise<void>((resolve) => (go = resolve)))
  const slow = bob.outcome(blockCdb(0x2a, 8, 1), { lun: 1n, out: Buffer.alloc(BLOCK, 2) })
  const { syncs } = device
  const removed = target.remove(1)
  t.equal(await bob.outcome(TEST_UNIT_READY, { lun: 1n }), '05/2500')
  t.equal(device.syncs, syncs, 'what is under way ends first')
  go()
  t.equal(await slow, 'good')
  await removed
  t.equal(device.syncs, syncs + 1)
  t.equal(await bob.outcome(TEST_UNIT_READY), '06/3f0e')
  t.equal(await luns(alice), 2)
  t.equal(await alice.outcome(TEST_UNIT_READY, { lun: 3n }), 'good')
  await target.remove(1)
  await target.refresh(1)
  t.equal(disk.size, 2 * BLOCKS * BLOCK)
})

t.test('MODE SENSE', async (t) => {
  const { alice } = await scene()
  const all = (await alice.run('1a 00 3f 00 ff 00')).data
  t.equal(all[0], all.length - 1)
  t.equal((all[2] ?? 0) & 0x10, 0x10, 'DPOFUA')
  t.same([all[3], all.readUInt32BE(4), all.readUInt32BE(8)], [8, BLOCKS, BLOCK])
  const pages = new Map<number, Buffer>()
  for (let at = 12; at < all.length; at += 2 + (all[at + 1] ?? 0)) {
    pages.set(all[at] ?? 0, all.subarray(at, at + 2 + (all[at + 1] ?? 0)))
  }
  t.same([...pages.keys()], [0x08, 0x0a, 0x1c])
  const control = (await alice.run('1a 08 0a 00 ff 00')).data.subarray(4)
  t.same(control, pages.get(0x0a))
  t.ok(control.readUInt16BE(8) > 0, 'BUSY TIMEOUT')
  t.equal((pages.get(0x08)?.[2] ?? 0) & 4, 4, 'WCE')
  const changeable = (await alice.run('1a 08 4a 00 ff 00')).data.subarray(4)
  t.equal((changeable[4] ?? 0) & 8, 8, 'SWP can be changed')
  t.equal((await alice.run('1a 00 3f 00 04 00')).data.length, 4)
  t.equal(await alice.outcome('1a 00 ca 00 ff 00'), '05/3900', 'saved')
  t.equal(await alice.outcome('1a 00 05 00 ff 00'), '05/2400', 'a page that is not there')
  t.equal(await alice.outcome('1a 00 0a 01 ff 00'), '05/2400', 'a subpage that is not there')
  const ten = (await alice.run('5a 10 3f 00 000000 0400 00')).data
  t.equal(ten.readUInt16BE(0), ten.length - 2)
  t.same(
    [ten[4], ten.readUInt16BE(6), Number(ten.readBigUInt64BE(8)), ten.readUInt32BE(20)],
    [1, 16, BLOCKS, BLOCK],
  )
})

t.test('MODE SELECT', async (t) => {
  const { alice, initiator, disk, target } = await scene()
  const bob = await initiator('bob')
  const change = async (code: number, byte: number, bits: number, who: Initiator = alice) => {
    const { data } = await who.run(`1a 08 ${hex(code, 2)} 00 ff 00`)
    const list = Buffer.concat([Buffer.alloc(4), data.subarray(4)])
    list[4 + byte] = (list[4 + byte] ?? 0) ^ bits
    return await who.outcome(`15 10 0000 ${hex(list.length, 2)} 00`, { out: list })
  }
  t.equal(await change(0x0a, 4, 0x08), 'good', 'SWP')
  t.equal(await bob.outcome(TEST_UNIT_READY), '06/2a01')
  t.equal(await alice.outcome(TEST_UNIT_READY), 'good')
  t.equal(await bob.outcome(blockCdb(0x2a, 0, 1), { out: Buffer.alloc(BLOCK) }), '07/2700')
  t.equal(((await alice.run('1a 08 3f 00 ff 00')).data[2] ?? 0) & 0x80, 0x80, 'WP')
  t.equal(await change(0x0a, 4, 0x08), 'good')
  t.equal(await alice.outcome(blockCdb(0x2a, 0, 1), { out: Buffer.alloc(BLOCK) }), 'good')
  const before = disk.syncs
  t.equal(await change(0x08, 2, 0x04), 'good', 'WCE off')
  await alice.run(blockCdb(0x2a, 0, 1), { out: Buffer.alloc(BLOCK) })
  t.equal(disk.syncs, before + 1, 'written through')
  t.equal(await change(0x0a, 2, 0x04), 'good', 'D_SENSE')
  const { senseBytes } = await alice.run(blockCdb(0x28, BLOCKS + 5, 1))
  t.equal(senseBytes?.[0], 0x72)
  t.same([senseBytes?.[1], senseBytes?.readUInt16BE(2), senseBytes?.[7]], [5, 0x2100, 12])
  t.equal(Number(senseBytes?.readBigUInt64BE(12)), BLOCKS + 5)
  t.equal(await change(0x0a, 3, 0x10), '05/2600', 'what cannot be changed')
  t.equal(await alice.outcome('15 00 0000 0c 00', { out: Buffer.alloc(12) }), '05/2400', 'PF')
  t.equal(await alice.outcome('15 11 0000 0c 00', { out: Buffer.alloc(12) }), '05/2400', 'SP')
  t.equal(await alice.outcome('15 10 0000 03 00', { out: Buffer.alloc(3) }), '05/1a00')
  t.equal(await alice.outcome('15 10 0000 06 00', { out: Buffer.from('000000000a0a', 'hex') }), '05/1a00')
  t.equal(await alice.outcome('15 10 0000 00 00'), 'good')
  const { data } = await alice.run('5a 00 0a 00 000000 00ff 00')
  data.writeUInt16BE(0, 0)
  data[3] = 0
  t.equal(
    await alice.outcome(`55 10 0000000000 ${hex(data.length, 4)} 00`, { out: data }),
    'good',
    'as sensed',
  )
  data.writeUInt32BE(4096, 12)
  t.equal(await alice.outcome(`55 10 0000000000 ${hex(data.length, 4)} 00`, { out: data }), '05/2600')
  target.resetTarget()
  await alice.clear()
  t.equal((await alice.run(blockCdb(0x28, BLOCKS, 1))).senseBytes?.[0], 0xf0, 'defaults after a reset')
})

t.test('REPORT SUPPORTED OPERATION CODES', async (t) => {
  const { alice } = await scene({ removable: true })
  const report = (flags: number, opcode = 0, action = 0) =>
    alice.run(`a3 0c ${hex(flags, 2)} ${hex(opcode, 2)} ${hex(action, 4)} 00010000 00 00`)
  for (const timeouts of [0, 0x80]) {
    const { data } = await report(timeouts)
    t.equal(data.readUInt32BE(0), data.length - 4)
    const size = timeouts === 0 ? 8 : 20
    for (let at = 4; at < data.length; at += size) {
      const opcode = data[at] ?? 0
      const action = data.readUInt16BE(at + 2)
      const hasAction = ((data[at + 5] ?? 0) & 1) === 1
      t.ok(hasAction || action === 0)
      t.equal((data[at + 5] ?? 0) & 2, timeouts === 0 ? 0 : 2)
      if (timeouts !== 0) t.equal(data.readUInt16BE(at + 8), 0x0a)
      const one = await report((hasAction ? 2 : 1) | timeouts, opcode, action)
      t.equal(one.data.readUInt16BE(2), data.readUInt16BE(at + 6))
      t.same([(one.data[1] ?? 0) & 7, one.data[4]], [3, opcode])
      t.equal((await report(hasAction ? 1 : 2, opcode, action)).sense, '05/2400', 'the other form')
      t.equal(((await report(3, opcode, action)).data[1] ?? 0) & 7, 3)
    }
  }
  for (const opcode of [0x28, 0xa8, 0x88, 0x2a, 0xaa, 0x8a, 0x8b, 0x89]) {
    t.equal((await report(1, opcode)).data[5], 0x18, 'DPO and FUA')
  }
  for (const opcode of [0x2f, 0xaf, 0x8f, 0x2e, 0xae, 0x8e])
    t.equal(((await report(1, opcode)).data[5] ?? 0) & 0x18, 0x10)
  t.equal((await report(1, 0xd0)).data[1], 1, 'not there')
  t.equal((await report(2, 0x9e, 0x1f)).data[1], 1)
  t.equal((await report(4)).sense, '05/2400')
  t.equal((await alice.run('a3 0d 00 000000 00000004 00 00')).data.length, 4)
  const groups = (await alice.run('a3 0a 00000000 00000100 00 00')).data
  t.same(
    [groups.readUInt32BE(0), groups[4], groups[11], groups.readUInt16BE(14), groups.readUInt16BE(18)],
    [16, 0, 2, 1, 2],
  )
  for (let length = 0; length < groups.length; length++) {
    const cut = await alice.run(`a3 0a 00000000 ${hex(length, 8)} 00 00`)
    t.ok(cut.status === 0 && cut.data.equals(groups.subarray(0, length)), `${length} bytes of the groups`)
  }
  t.equal((await alice.run('a3 2a 00000000 00000100 00 00')).data[4], 0x10, 'the extended header')
})

t.test('unit attentions, and REQUEST SENSE', async (t) => {
  const { target, alice, initiator } = await scene()
  const bob = await initiator('bob')
  alice.login()
  t.equal((await alice.run('12 00 00 00ff 00')).status, 0, 'INQUIRY passes')
  t.equal(await alice.outcome('a0 00 00 000000 00000100 00 00'), 'good')
  t.equal(await alice.outcome(blockCdb(0x28, 0, 1)), '06/2900', 'a new session')
  t.equal(await alice.outcome(blockCdb(0x28, 0, 1)), 'good')
  t.equal(target.resetLogicalUnit(0n), true)
  t.equal(target.resetLogicalUnit(9n << 48n), false)
  t.equal((await alice.run('03 00 0000 ff 00')).data.readUInt16BE(12), 0x2903, 'as data')
  t.equal(await alice.outcome(TEST_UNIT_READY), 'good', 'which takes it away')
  t.equal(await bob.outcome(TEST_UNIT_READY), '06/2903', 'each nexus has its own')
  t.equal(await bob.outcome(TEST_UNIT_READY, { lun: 3n }), 'good')
  target.resetTarget()
  t.equal(await bob.outcome(TEST_UNIT_READY, { lun: 3n }), '06/2903')
  const none = (await bob.run('03 01 0000 ff 00')).data
  t.equal(none[0], 0x72)
})

t.test('the medium', async (t) => {
  const { alice, initiator, target } = await scene({ removable: true })
  const bob = await initiator('bob')
  const eject = '1b 00 00 00 02 00'
  const load = '1b 00 00 00 03 00'
  t.equal(await alice.outcome('1b 00 00 00 32 00'), 'good', 'a power condition')
  t.equal(await alice.outcome(TEST_UNIT_READY), 'good', 'does not eject')
  t.equal(await alice.outcome(eject), 'good')
  const needing = ['25', '35', '34', '28', '2f'].map((opcode) => `${opcode} 00 00000000 0000 00 00`)
  needing.push('9e 12 0000000000000000 00000020 00 00', '42 00 00000000 00 0000 00', TEST_UNIT_READY)
  for (const cdb of needing) t.equal(await bob.outcome(cdb), '02/3a00', cdb)
  t.equal((await alice.run('03 00 0000 ff 00')).data.readUInt16BE(12), 0x3a00)
  t.equal(await alice.outcome(load), 'good')
  t.equal(await alice.outcome(TEST_UNIT_READY), 'good')
  t.equal(await bob.outcome(TEST_UNIT_READY), '06/2800', 'others hear of the medium')
  t.equal(await alice.outcome('1b 00 00 00 00 00'), 'good')
  t.equal(await alice.outcome(TEST_UNIT_READY), 'good', 'nothing spins that could stop')
  t.equal(await alice.outcome('1b 00 00 00 01 00'), 'good')

  const prevent = '1e 00 00 00 01 00'
  const undo: [string, () => unknown][] = [
    ['allowed again', () => alice.run('1e 00 00 00 00 00')],
    ['logout', () => alice.logout()],
    ['unit reset', () => target.resetLogicalUnit(0n)],
    ['target reset', () => target.resetTarget()],
  ]
  for (const [what, end] of undo) {
    await alice.clear()
    t.equal(await alice.outcome(prevent), 'good')
    t.equal(await bob.outcome(eject), '05/5302', what)
    t.equal(await bob.outcome(load), '05/5302')
    await end()
    await bob.clear()
    t.equal(await bob.outcome(eject), 'good', what)
    t.equal(await bob.outcome(load), 'good')
  }
  const fixed = await scene()
  t.equal(await fixed.alice.outcome(eject), '05/2400')
  t.equal(await fixed.alice.outcome(prevent), '05/2000')
})

t.test('what initiators of macOS and Windows ask first', async (t) => {
  const { alice, disk } = await scene()
  alice.login()
  t.same((await alice.run('a0 00 02 000000 00000808 00 00')).data.readUInt32BE(0), 16, 'SELECT REPORT 2')
  t.equal((await alice.run('12 00 00 0024 00')).data.length, 36)
  t.equal(await alice.outcome(TEST_UNIT_READY), '06/2900')
  t.equal(await alice.outcome(TEST_UNIT_READY), 'good', 'no more than one')
  t.equal((await alice.run('25 00 00000000 0000 00 00')).data.readUInt32BE(0), BLOCKS - 1)
  const caching = (await alice.run('1a 08 08 00 c0 00')).data
  t.same([caching[3], caching[4], (caching[6] ?? 0) & 0x04], [0, 0x08, 0x04], 'no block descriptor, WCE')
  await alice.write(0, Buffer.alloc(BLOCK, 1))
  const { syncs } = disk
  t.equal(await alice.outcome('35 00 00000000 00 0000 00'), 'good')
  t.equal(disk.syncs, syncs + 1, 'SYNCHRONIZE CACHE(10) of all')

  const identification = (await page(alice, 0x83, 0xff)).data
  const ofUnit: number[] = []
  for (let at = 4; at < identification.length; at += 4 + (identification[at + 3] ?? 0)) {
    const type = identification[at + 1] ?? 0
    if (((type >> 4) & 3) === 0) ofUnit.push(type & 0x0f)
  }
  t.same(ofUnit.sort(), [1, 3], 'T10 and NAA, for MPIO and clusters')
  // Thin is what all three say together.
  const capacity = (await alice.run('9e 10 0000000000000000 00000020 00 00')).data
  const limits = (await page(alice, 0xb0)).data
  const thin = (await page(alice, 0xb2)).data
  t.same([capacity[14], (thin[5] ?? 0) & 0xe0, (thin[6] ?? 0) & 7], [0xc0, 0xe0, 2])
  t.same([limits.readUInt32BE(28), limits.readUInt32BE(32)], [8, 0x8000_0000])
  t.equal((await alice.run('5e 02 0000000000 0008 00')).data.readUInt16BE(0), 8, 'persistent reservations')
})
