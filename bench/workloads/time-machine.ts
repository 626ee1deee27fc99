/** What a first backup of Time Machine does on the wire, in its proportions, by a scripted Mac. */

import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Disposition, MacClient, type MacHandle } from '../../test/interop/mac/client.ts'
import { MAC_SHARE, type RunningServer } from '../peers/peer.ts'
import { BYTES, type Ground, MEBIBYTE, type Run, type Workload } from './workload.ts'

/** No mark of the table is for it: no slower. */
const MARK = 1
const TEMPORARY = 'mix.incomplete'
const BUNDLE = 'mix.sparsebundle'
const LISTS = ['Info.bckup', 'Info.plist', 'token']
const KIBIBYTE = 1024
/** Sizes of WRITEs, in turns; those of one band are sent together. */
const WRITE_BYTES = [256 * KIBIBYTE, 512 * KIBIBYTE, MEBIBYTE] as const
/** Of a recorded backup: 3736 WRITEs to 352 CREATEs, 391 FLUSHes (105 of them full), at most 15 handles at a time. */
const WRITES_PER_BAND = 11
const FLUSHES_PER_FULL = 4
const OPEN_BANDS = 10
/** 93 of 100 WRITEs are zeros. */
const DATA_EVERY = 14
/** A part of the bytes of the large file: each band is forced to the disk. */
const PART = 1 / 8

const ZEROS = Buffer.alloc(MEBIBYTE)
const DATA = Buffer.alloc(MEBIBYTE, 'backup')

export function timeMachineMix(name: string): Workload {
  return {
    ...{ name, mark: MARK, unit: BYTES },
    prepare: async () => {},
    async verify(ground, server) {
      await backUp(ground, server)
      const bands = join(ground.data, BUNDLE, 'bands')
      const expected = bandCount(ground)
      const found = (await readdir(bands)).length
      if (found !== expected) throw new Error(`${found} bands were made of ${expected}`)
      const content = await readFile(join(bands, '0'))
      if (!content.equals(contentOfBand())) throw new Error('a band has other data than was written')
    },
    run: backUp,
  }
}

async function backUp(ground: Ground, server: RunningServer): Promise<Run> {
  for (const folder of [TEMPORARY, BUNDLE])
    await rm(join(ground.data, folder), { recursive: true, force: true })
  const { name: user, password } = ground.account
  const where = { host: '127.0.0.1', port: server.port, share: MAC_SHARE }
  const client = await MacClient.connect({ ...where, user, password })
  const started = performance.now()
  await makeBundle(client)
  const amount = await writeBands(client, bandCount(ground))
  await replaceList(client)
  await client.disconnect()
  return { amount, seconds: (performance.now() - started) / 1000 }
}

/** It is made under another name, and renamed while files in it are open. */
async function makeBundle(client: MacClient): Promise<void> {
  await client.makeDirectory(TEMPORARY)
  for (const list of LISTS) {
    const file = await client.create(`${TEMPORARY}/${list}`, Disposition.CREATE)
    await client.write(file, 0, Buffer.from(list))
    await client.fullSync(file)
  }
  await client.makeDirectory(`${TEMPORARY}/bands`)
  await client.rename(TEMPORARY, BUNDLE, { directory: true })
}

/** @returns bytes written */
async function writeBands(client: MacClient, count: number): Promise<number> {
  const open: MacHandle[] = []
  let written = 0
  for (let band = 0; band < count; band++) {
    const file = await client.create(`${BUNDLE}/bands/${band.toString(16)}`, Disposition.CREATE)
    open.push(file)
    await Promise.all(writes().map(({ at, data }) => client.write(file, at, data)))
    const size = bandBytes()
    written += size
    await client.setEndOfFile(file, size)
    await (band % FLUSHES_PER_FULL === 0 ? client.fullSync(file) : client.flush(file))
    const [oldest] = open
    if (open.length <= OPEN_BANDS || oldest === undefined) continue
    await client.close(oldest)
    open.shift()
  }
  return written
}

/** Deleted, then renamed into its place: no rename replaces anything. */
async function replaceList(client: MacClient): Promise<void> {
  const list = `${BUNDLE}/com.apple.TimeMachine.Results.plist`
  for (const content of ['first', 'second']) {
    const next = await client.create(`${list}.tmp`, Disposition.CREATE)
    await client.write(next, 0, Buffer.from(content))
    await client.fullSync(next)
    await client.close(next)
    if (content === 'second') await client.remove(list)
    await client.rename(`${list}.tmp`, list)
  }
}

/** The WRITEs of a band. */
function writes(): { at: number; data: Buffer }[] {
  let at = 0
  return Array.from({ length: WRITES_PER_BAND }, (_, index) => {
    const length = WRITE_BYTES[index % WRITE_BYTES.length] ?? MEBIBYTE
    const data = (index % DATA_EVERY === 0 ? DATA : ZEROS).subarray(0, length)
    at += length
    return { at: at - length, data }
  })
}

function bandBytes(): number {
  return writes().reduce((all, { data }) => all + data.length, 0)
}

function contentOfBand(): Buffer {
  return Buffer.concat(writes().map(({ data }) => data))
}

function bandCount(ground: Ground): number {
  return Math.max(1, Math.round((ground.fileBytes * PART) / bandBytes()))
}
