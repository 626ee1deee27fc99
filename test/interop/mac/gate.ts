/** macos.md 7: the gate that Time Machine asks of a share, and a backup as it goes over the wire. */

import { randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from '../report.ts'
import type { MacClient, MacHandle } from './client.ts'
import * as contexts from './contexts.ts'
import * as requests from './requests.ts'
import { Disposition } from './requests.ts'
import { refused, type Scene, Status, same } from './scene.ts'

const BAND_BYTES = 8 << 20
const QUANTUM_BYTES = 1 << 20
const LARGEST_TIMEOUT = 960_000
const Lease = { RH: 3 } as const
const FILE_CREATED = 2
const PROBE_ACCESS = requests.Access.READ_DATA | requests.Access.READ_ATTRIBUTES | requests.Access.READ_EA
const INFO_PLIST = `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
<key>CFBundleInfoDictionaryVersion</key><string>6.0</string>
<key>band-size</key><integer>${BAND_BYTES}</integer>
<key>bundle-backingstore-version</key><integer>1</integer>
<key>diskimage-bundle-type</key><string>com.apple.diskimage.sparsebundle</string>
<key>size</key><integer>17592186044416</integer>
</dict></plist>
`

/** kReadSettings, kWriteSettings, F_FULLFSYNC; the service type of the socket and the dead timer are the Mac's own affair. */
export async function gate(scene: Scene): Promise<void> {
  const { report } = scene
  const client = await scene.mount()
  await report.check('7.2: the probe in the share root, opened, closed, deleted', async () => {
    const timeout = await probe(client, 0)
    expect(timeout > 0, 'a Timeout of 0')
  })
  for (const wanted of [30_000, 1_000, LARGEST_TIMEOUT]) {
    await report.check(`7.3: a Timeout of ${wanted} ms is granted exactly`, async () => {
      same(await probe(client, wanted), wanted, 'the Timeout')
    })
  }
  await report.check('7.4: F_FULLFSYNC after written data', async () => {
    const file = await client.create('synced', Disposition.CREATE)
    await client.write(file, 0, Buffer.from('data'))
    await client.fullSync(file)
    same(await readFile(join(scene.path, 'synced'), 'utf8'), 'data', 'the file')
    await client.close(file)
    await client.remove('synced')
  })
  await client.disconnect()
}

/** smb2fs_smb_check_dur_handle_v2. @returns the granted Timeout */
async function probe(client: MacClient, timeout: number): Promise<number> {
  const uuid = [...randomBytes(16)].map((byte) => byte.toString(16))
  const parts = [uuid.slice(0, 4), uuid.slice(4, 6), uuid.slice(6, 8), uuid.slice(8, 10), uuid.slice(10)]
  const path = `.com.apple.timemachine.supported-${parts.map((part) => part.join('')).join('-')}`
  const asked = [
    contexts.empty('MxAc'),
    contexts.durable(randomBytes(16), timeout),
    contexts.lease(randomBytes(16), Lease.RH),
  ]
  const request = requests.create({
    ...{ path, access: PROBE_ACCESS, share: requests.Share.READ, disposition: Disposition.OPEN_IF },
    ...{ attributes: 0x80, contexts: asked },
  })
  const created = requests.parseCreate(await client.request('the probe', request), asked)
  const durable = created.contexts.get('DH2Q')
  expect(durable !== undefined, 'ENOTSUP: DH2Q is not answered')
  same(created.contexts.get('RqLs')?.readUInt32LE(16), Lease.RH, 'the lease')
  same(created.action, FILE_CREATED, 'CreateAction')
  await client.request('the CLOSE of the probe', requests.close(created.fileId))
  await client.remove(path)
  return durable.readUInt32LE(0)
}

/** A first backup: the bundle is made, renamed while open, filled, and its lists replaced by renames. */
export async function backup(scene: Scene): Promise<void> {
  const { report } = scene
  const client = await scene.mount()
  const temporary = 'MacBook 2026-01-31-120000.incomplete'
  const bundle = 'MacBook.sparsebundle'
  await report.check('7, 10: the size of the share root is told, and not 0', async () => {
    const [total, free] = await sizeOf(client)
    expect(free > 0n && total >= free, `${free} of ${total}`)
  })
  let open: Map<string, MacHandle> | undefined
  await report.check('7 backup: the temporary bundle is made', async () => {
    open = await makeBundle(client, temporary)
  })
  if (open === undefined) return
  const files = open
  await report.check('7 backup: it is renamed while files inside it are open', async () => {
    await client.rename(temporary, bundle, { directory: true })
    const info = files.get('Info.plist')
    expect(info !== undefined, 'no handle')
    same((await client.read(info, 0, 1 << 16)).toString(), INFO_PLIST, 'Info.plist')
    await refused(Status.OBJECT_PATH_NOT_FOUND, 'the old name', client.open(`${temporary}/Info.plist`))
  })
  await report.check('7 backup: no handle lost its lease by it', () => {
    for (const [name, { lease }] of files) same(lease?.state, 7, `the lease of ${name}`)
  })
  await report.check('7 backup: bands of 8 MiB, quanta in flight, full syncs', () =>
    writeBands(scene, client, bundle),
  )
  await report.check('7 backup: freed bands are deleted', async () => {
    await client.remove(`${bundle}/bands/3`)
    const gone = await stat(join(scene.path, bundle, 'bands', '3')).catch(() => undefined)
    expect(gone === undefined, 'the band is still there')
  })
  await report.check('7 backup: lists are replaced by deletion and rename; a rename never replaces', () =>
    replaceLists(client, bundle),
  )
  await report.check('7 backup: CLOSE tells sizes and times', async () => {
    for (const handle of files.values()) {
      const { body } = await client.close(handle)
      same(body.readUInt16LE(2), 1, 'POSTQUERY_ATTRIB')
      for (const at of [8, 16, 24, 32]) expect(body.readBigUInt64LE(at) > 0n, `time at ${at} is 0`)
    }
  })
  await report.check('7 backup: attached again, all is as it was written', () => attachAgain(client, bundle))
  await client.disconnect()
}

/** FileFsSizeInformation of the root. @returns bytes in all, bytes free */
export async function sizeOf(client: MacClient): Promise<[total: bigint, free: bigint]> {
  const open = requests.create({
    path: '',
    access: requests.QUERY_ACCESS,
    options: requests.CreateOption.DIRECTORY,
  })
  const query = requests.queryInfo(2, requests.FsClass.SIZE)
  const [, answer] = await client.all('FileFsSizeInformation', [open, query, requests.close()])
  expect(answer !== undefined, 'no answer')
  const size = requests.outputOf(answer)
  same(size.length, 24, 'the length of FileFsSizeInformation')
  const unit = BigInt(size.readUInt32LE(16)) * BigInt(size.readUInt32LE(20))
  return [size.readBigUInt64LE(0) * unit, size.readBigUInt64LE(8) * unit]
}

async function makeBundle(client: MacClient, path: string): Promise<Map<string, MacHandle>> {
  const files = new Map<string, MacHandle>()
  await client.makeDirectory(path)
  for (const name of ['Info.bckup', 'Info.plist', 'token', 'lock']) {
    const file = await client.create(`${path}/${name}`, Disposition.CREATE)
    const content = Buffer.from(name.startsWith('Info') ? INFO_PLIST : '')
    if (content.length > 0) await client.write(file, 0, content)
    await client.fullSync(file)
    same(file.timeout, 30_000, `the Timeout of ${name}`)
    files.set(name, file)
  }
  await client.makeDirectory(`${path}/bands`)
  await client.makeDirectory(`${path}/mapped`)
  const machine = await client.create(`${path}/com.apple.TimeMachine.MachineID.plist.tmp`, Disposition.CREATE)
  await client.write(machine, 0, Buffer.from(INFO_PLIST))
  await client.close(machine)
  await client.rename(
    `${path}/com.apple.TimeMachine.MachineID.plist.tmp`,
    `${path}/com.apple.TimeMachine.MachineID.plist`,
  )
  return files
}

const BANDS = [0, 1, 2, 3]

/** What stands in a band: as most of a first backup, zeros, but for its first quantum. */
function bandData(band: number): Buffer {
  return Buffer.alloc(QUANTUM_BYTES, band + 1)
}

async function writeBands({ path }: Scene, client: MacClient, bundle: string): Promise<void> {
  for (const band of BANDS) {
    const file = await client.create(`${bundle}/bands/${band}`, Disposition.CREATE)
    const quanta = Array.from({ length: BAND_BYTES / QUANTUM_BYTES }, (_, index) => index)
    const zeros = Buffer.alloc(QUANTUM_BYTES)
    await Promise.all(
      quanta.map((index) => client.write(file, index * QUANTUM_BYTES, index === 0 ? bandData(band) : zeros)),
    )
    await client.setEndOfFile(file, BAND_BYTES)
    await client.fullSync(file)
    const { body } = await client.close(file)
    same(body.readBigUInt64LE(48), BigInt(BAND_BYTES), 'the end of the band at CLOSE')
    const content = await readFile(join(path, bundle, 'bands', String(band)))
    expect(content.subarray(0, QUANTUM_BYTES).equals(bandData(band)), `band ${band} has other data`)
    same(content.length, BAND_BYTES, 'the size of the band')
  }
}

async function replaceLists(client: MacClient, bundle: string): Promise<void> {
  for (const content of ['first', 'second']) {
    for (const name of [
      'com.apple.TimeMachine.SnapshotHistory.plist',
      'com.apple.TimeMachine.Results.plist',
    ]) {
      const list = `${bundle}/${name}`
      const next = await client.create(`${list}.tmp`, Disposition.CREATE)
      await client.write(next, 0, Buffer.from(content))
      await client.fullSync(next)
      await client.close(next)
      if (content === 'second') {
        await refused(
          Status.OBJECT_NAME_COLLISION,
          'a rename over a list',
          client.rename(`${list}.tmp`, list),
        )
        await client.remove(list)
      }
      await client.rename(`${list}.tmp`, list)
    }
  }
}

async function attachAgain(client: MacClient, bundle: string): Promise<void> {
  const lock = await client.open(`${bundle}/lock`, { share: 0 })
  for (const band of BANDS.filter((each) => each !== 3)) {
    const file = await client.open(`${bundle}/bands/${band}`, { access: requests.READ_ACCESS })
    expect((await client.read(file, 0, QUANTUM_BYTES)).equals(bandData(band)), `band ${band} has other data`)
    const rest = await client.read(file, QUANTUM_BYTES, QUANTUM_BYTES)
    expect(rest.length === QUANTUM_BYTES && rest.every((byte) => byte === 0), `band ${band} lost its zeros`)
    await client.close(file)
  }
  const history = await client.open(`${bundle}/com.apple.TimeMachine.SnapshotHistory.plist`)
  same((await client.read(history, 0, 100)).toString(), 'second', 'the history')
  await client.close(history)
  await client.close(lock)
}
