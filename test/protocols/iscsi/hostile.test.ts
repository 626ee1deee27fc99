/** RFC 7143: what no initiator sends: random PDUs before and after login; nothing breaks, and all memory comes back. */

import { createHash } from 'node:crypto'
import t from 'tap'
import { OUR_SEGMENT_BYTES } from '../../../protocols/iscsi/login/parameters.ts'
import { encodeDataOut } from '../../../protocols/iscsi/pdu/data.ts'
import {
  BHS_BYTES,
  bytesBehind,
  NO_DIGESTS,
  newHeader,
  Opcode,
  RESERVED_TAG,
} from '../../../protocols/iscsi/pdu/segments.ts'
import { WINDOW_COMMANDS } from '../../../protocols/iscsi/session/command-window.ts'
import { GOOD, loggedIn, type Scene, scene, type TestInitiator } from './lab.ts'

const CONNECTIONS = 150
const PDUS = 40
const OPCODES = [0x00, 0x01, 0x01, 0x01, 0x02, 0x03, 0x04, 0x05, 0x05, 0x06, 0x10, 0x1e, 0x21, 0x3f]
const LENGTHS = [0, 0, 1, 4, 48, 511, 512, 2000]

/** Numbers below a bound, the same for the same seed. */
function dice(seed: number): (bound: number) => number {
  let drawn = 0
  return (bound) => {
    const digest = createHash('md5').update(`${seed} ${drawn++}`).digest()
    return digest.readUInt32BE() % bound
  }
}

/** A PDU whose fields are often right, and otherwise anything. */
function randomPdu(random: (bound: number) => number, initiator: TestInitiator): Buffer {
  const bhs = newHeader(OPCODES[random(OPCODES.length)] ?? 0, random(3) === 0)
  for (let at = 1; at < BHS_BYTES; at++) if (random(6) === 0) bhs[at] = random(256)
  bhs[1] = random(256)
  bhs[4] = random(8) === 0 ? random(4) : 0
  bhs.writeUIntBE(LENGTHS[random(LENGTHS.length)] ?? 0, 5, 3)
  bhs.writeUInt32BE(random(4) === 0 ? 0xffff_ffff : 0x100 + random(8), 16)
  bhs.writeUInt32BE(random(2) === 0 ? 0xffff_ffff : random(4096), 20)
  if (random(4) > 0) bhs.writeUInt32BE(random(3) > 0 ? initiator.cmdSN++ : initiator.cmdSN, 24)
  const rest = Buffer.alloc(bytesBehind(bhs, NO_DIGESTS), random(256))
  return Buffer.concat([bhs, random(50) === 0 ? rest.subarray(1) : rest])
}

async function attack(
  all: Scene,
  initiator: TestInitiator,
  random: (bound: number) => number,
): Promise<void> {
  all.scsi.answer = () => {
    const dataIn = random(2) === 0 ? [Buffer.alloc(random(3000))] : []
    return { ...GOOD, dataIn, dataInLength: random(4000), dataOutLength: random(4000) }
  }
  for (let count = 0; count < PDUS; count++) {
    initiator.sendRaw(randomPdu(random, initiator))
    if (random(10) === 0) await initiator.answers()
  }
  initiator.engine.closed()
  await initiator.answers()
}

t.test('random PDUs', async (t) => {
  for (let seed = 0; seed < CONNECTIONS; seed++) {
    const random = dice(seed)
    const all = scene()
    const initiator = seed % 3 === 0 ? all.connect() : await loggedIn(all, { InitialR2T: 'No' })
    await attack(all, initiator, random)
    await all.environment.advance(6000)
    t.equal(initiator.held, 0, `seed ${seed}: frames`)
    t.equal(all.server.sessions.size, 0, `seed ${seed}: sessions`)
    t.same(
      all.log.filter((line) => line.startsWith('error')),
      [],
      `seed ${seed}: bugs`,
    )
  }
})

t.test('unsolicited data in many pieces keep no more than the window of first bursts', async (t) => {
  const all = scene()
  const initiator = await loggedIn(all, { InitialR2T: 'No', FirstBurstLength: '4096' })
  const tags = Array.from({ length: WINDOW_COMMANDS + 20 }, () =>
    initiator.command({ write: true, final: false, expectedDataTransferLength: 1 << 20 }),
  )
  const [session] = all.server.sessions.values()
  t.equal(session?.tasks.size, WINDOW_COMMANDS, 'more commands are passed over')
  for (const initiatorTaskTag of tags) {
    for (let dataSN = 0; dataSN < 5000; dataSN++) {
      const numbers = { targetTransferTag: RESERVED_TAG, expStatSN: 0, dataSN, bufferOffset: dataSN }
      initiator.send(encodeDataOut({ final: false, lun: 0n, initiatorTaskTag, ...numbers }), [
        Buffer.alloc(1),
      ])
    }
  }
  t.equal(initiator.held, 0, 'a frame of one byte is not kept')
  t.same(await initiator.answers(), [])
  initiator.engine.closed()
})

t.test('one that reads nothing gets nothing more begun, and costs what it was promised', async (t) => {
  const all = scene()
  const initiator = await loggedIn(all, { MaxRecvDataSegmentLength: '16777215' })
  const { dataInBytes } = all.server.limits
  let made = 0
  all.scsi.answer = ({ dataInLimit }) => {
    made += dataInLimit
    return {
      ...GOOD,
      dataIn: [Buffer.alloc(1)],
      dataInLength: dataInLimit,
      release: () => {
        made -= dataInLimit
      },
    }
  }
  initiator.takes = false
  const length = 4 << 20
  for (let count = 0; count < 200; count++) {
    initiator.command({ read: true, expectedDataTransferLength: length })
    await initiator.answers()
  }
  t.equal(made, dataInBytes)
  const [session] = all.server.sessions.values()
  t.ok((session?.tasks.size ?? 0) <= WINDOW_COMMANDS)
  initiator.takes = true
  await initiator.answers()
  t.equal(made, 0, 'all is given back')
  initiator.engine.closed()
})

t.test('no more is taken than was declared', async (t) => {
  const all = scene()
  const header = (length: number): Buffer => {
    const bhs = newHeader(Opcode.nopOut)
    bhs.writeUIntBE(length, 5, 3)
    return bhs
  }
  const stranger = all.connect()
  t.equal(stranger.engine.format?.payloadBytes(header(8192)), 8192)
  t.equal(stranger.engine.format?.payloadBytes(header(8193)), undefined)
  t.type(stranger.disconnected, 'string')
  const initiator = await loggedIn(all)
  t.equal(initiator.engine.format?.payloadBytes(header(OUR_SEGMENT_BYTES)), OUR_SEGMENT_BYTES)
  t.equal(initiator.engine.format?.payloadBytes(header(OUR_SEGMENT_BYTES + 1)), undefined)
  t.match(initiator.disconnected, /more than was declared/)
})
