/** Listings for Macs (MS-FSCC 2.4.17 with Apple's READ_DIR_ATTR): what entries show, and how many requests they cost. */

import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { encodeAaplServerQuery } from '../../../protocols/smb2/messages/create-context-aapl.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { AFP_INFO, mountMac, ROOT } from '../../sim/mac.ts'
import { make, scene } from '../../sim/scene.ts'
import type { SimClient } from '../../sim/smb2-client.ts'

const { DIRECTORY_FILE } = CreateOption

scene('a listing as a Mac reads it', async (t, { sim, anna }) => {
  const mac = await mountMac(sim)
  t.equal(AFP_INFO.length, 60)
  await make(mac, 'd', DIRECTORY_FILE)
  await make(mac, 'd\\sub', DIRECTORY_FILE)
  await make(mac, 'd\\plain')
  for (const [name, data] of [
    ['d\\rich:AFP_AfpInfo', AFP_INFO],
    ['d\\rich:AFP_Resource', Buffer.alloc(286)],
  ] as const) {
    const { fileId } = await mac.create({ name })
    await mac.write(fileId, data)
    await mac.close(fileId)
  }
  const folder = { name: 'd', createOptions: DIRECTORY_FILE, desiredAccess: FileAccess.READ_DATA }
  const entriesFor = async (client: SimClient) => {
    const { fileId } = await client.create(folder)
    const { output, names } = await client.list(fileId)
    await client.close(fileId)
    const found = new Map<string, Buffer>()
    for (let at = 0, index = 0; index < names.length; index++) {
      found.set(names[index] ?? '', output.subarray(at))
      at += output.readUInt32LE(at)
    }
    return (name: string): Buffer => found.get(name) ?? Buffer.alloc(0)
  }
  const entry = await entriesFor(mac)
  t.equal(entry('plain').readUInt32LE(64), 0x1f01ff, 'maximal access, in specific rights')
  t.equal(entry('plain').readUInt16LE(68), 1, 'no xattrs')
  t.equal(entry('plain').readBigUInt64LE(70), 0n)
  t.equal(entry('plain').readUInt16LE(94).toString(8), '100644')
  t.equal(entry('sub').readUInt16LE(94).toString(8), '40755')
  t.not(entry('plain').readBigUInt64LE(96), 0n, 'a file id')
  const made = entry('plain').readBigUInt64LE(8) / 10_000_000n - 11_644_473_600n - 946_684_800n
  t.equal(BigInt(entry('plain').readInt32BE(90)), made, 'added when it was made')
  t.equal(entry('rich').readUInt16LE(68), 0)
  t.equal(entry('rich').readBigUInt64LE(70), 286n, 'length of the resource fork')
  t.equal(entry('rich').toString('latin1', 78, 86), 'TEXTttxt')
  t.equal(entry('rich').toString('hex', 86, 94), '040080012a2b2c2d')
  const old = { queryBitmap: 1n, clientCapabilities: 0x0fn }
  const first = await entriesFor(
    await mountMac(sim, 'old', { name: 'AAPL', data: encodeAaplServerQuery(old) }),
  )
  t.equal(first('plain').readUInt16LE(68), 24, 'in the first version a length stands before the 24 bytes')
  t.equal(first('rich').readBigUInt64LE(70), 286n)
  const plain = await entriesFor(anna)
  t.equal(plain('plain').readUInt32LE(64), 0, 'others see sizes of EAs')
  t.equal(plain('plain').readUInt16LE(94), 0)
})

/** command 2, reserved, file id. */
async function resolve(mac: SimClient, fileId: bigint): Promise<readonly [status: number, path: string]> {
  const data = Buffer.from('02000000000000000000000000000000', 'hex')
  data.writeBigUInt64LE(fileId, 8)
  const { response, fileId: root } = await mac.create({ ...ROOT, createContexts: [{ name: 'AAPL', data }] })
  await mac.close(root)
  const reply = response?.createContexts[0]?.data ?? Buffer.alloc(16)
  if (reply.readUInt32LE(12) !== reply.length - 16) throw new Error('the length is not that of the path')
  return [reply.readUInt32LE(8), reply.toString('utf16le', 16)]
}

scene('a Mac asks where a file is by its id', async (t, { sim, anna }) => {
  const mac = await mountMac(sim)
  await make(anna, 'd', DIRECTORY_FILE)
  await make(anna, 'd\\sub', DIRECTORY_FILE)
  await make(anna, 'd\\sub\\Name')
  t.same((await resolve(mac, 12_345_678n))[0], Status.OBJECT_NAME_NOT_FOUND)
  const { fileId } = await mac.create({ name: 'd\\sub', createOptions: DIRECTORY_FILE })
  const { output, names } = await mac.list(fileId)
  await mac.close(fileId)
  t.same(names, ['.', '..', 'Name'])
  const last = output.subarray(output.readUInt32LE(0)).subarray(output.readUInt32LE(output.readUInt32LE(0)))
  const id = last.readBigUInt64LE(96)
  t.same(await resolve(mac, id), [Status.SUCCESS, 'd\\sub\\Name'])
  const doomed = await anna.create({ name: 'd\\sub\\Name', createOptions: CreateOption.DELETE_ON_CLOSE })
  await anna.close(doomed.fileId)
  await make(anna, 'd\\sub\\Name')
  t.same(await resolve(mac, id), [Status.OBJECT_NAME_NOT_FOUND, ''], 'another file has its name now')
})

/** Requests of a whole listing, in Macs' buffers. */
async function requestsFor(
  client: SimClient,
  folder: string,
): Promise<{ entries: number; requests: number }> {
  const { fileId } = await client.create({ name: folder, createOptions: DIRECTORY_FILE })
  let [entries, requests] = [0, 2]
  for (let more = true; more; requests++) {
    const { names } = await client.list(fileId, { outputBufferLength: 65_536 })
    entries += names.length
    more = names.length > 0
  }
  await client.close(fileId)
  return { entries, requests }
}

scene('a folder of 10,000 files costs a Mac no more requests than others', async (t, { sim, anna }) => {
  const mac = await mountMac(sim)
  await make(mac, 'd', DIRECTORY_FILE)
  for (let index = 0; index < 10_000; index++) {
    await make(anna, `d\\file-${index}.txt`)
    if (index % 10 > 0) continue
    const { fileId } = await mac.create({ name: `d\\file-${index}.txt:AFP_AfpInfo` })
    await mac.write(fileId, AFP_INFO)
    await mac.close(fileId)
  }
  const plain = await requestsFor(anna, 'd')
  t.same(await requestsFor(mac, 'd'), plain)
  t.equal(plain.entries, 10_002)
  t.ok(plain.requests <= 32, `in ${plain.requests} requests: each answer is full`)
})
