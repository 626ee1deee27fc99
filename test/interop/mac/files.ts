/** macos.md 5, 10 to 12 and fruit.md 2: listings, streams, names, notifications, deletion, and a disk that is full. */

import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { succeed } from '../process.ts'
import { expect } from '../report.ts'
import type { MacClient } from './client.ts'
import { sizeOf } from './gate.ts'
import * as requests from './requests.ts'
import { Disposition, FileClass, FsClass } from './requests.ts'
import { refused, type Scene, Status, same } from './scene.ts'

const GENERIC_RIGHTS = 0xf000_0000
const ALL_FILE_RIGHTS = 0x1ff
const SECONDS_TO_2000 = 946_684_800
const FINDER_TYPE = 'TEXTttxt'
const FORK = Buffer.from('resource fork')
const NOTIFY_NAMES = 0x3
const DIRECTORY = requests.CreateOption.DIRECTORY
/** What SMB forbids in names, as Macs send it: U+F001 and on, SFM's marks, space and dot at the end, composed. */
const NAMES = [
  '\uf001x\uf020\uf021\uf022\uf023\uf024\uf025\uf026\uf027',
  'end\uf028',
  'end\uf029',
  'K\u00e4se',
]
const DATA_STREAM = '::$DATA'

/**
 * Elsewhere: the list of shares over IPC$ and srvsvc (11; suites of rpcclient and impacket), snapshots (11; smbclient),
 * Samba's and netatalk's formats on the disk (fruit.md 4; test/storage). XSym links are plain files to a server.
 */
export async function files(scene: Scene): Promise<void> {
  const { report } = scene
  const client = await scene.mount()
  await client.makeDirectory('folder')
  await listings(scene, client)
  await classes(scene, client)
  await names(scene, client)
  await notifications(scene, client)
  await semantics(scene, client)
  await report.check('12: .com.apple.TimeMachine.quota.plist in the root is a file like others', async () => {
    const name = '.com.apple.TimeMachine.quota.plist'
    await writeFile(join(scene.path, name), 'quota')
    const file = await client.open(name, { access: requests.READ_ACCESS })
    same((await client.read(file, 0, 64)).toString(), 'quota', 'the file')
    await client.close(file)
  })
  await client.disconnect()
}

interface Entry {
  readonly name: string
  readonly access: number
  readonly flags: number
  readonly fork: bigint
  readonly finder: Buffer
  readonly mode: number
  readonly fileId: bigint
  readonly birth: bigint
}

/** smb2_smb_parse_query_dir_both_dir_info. */
async function list(client: MacClient, path: string): Promise<Map<string, Entry>> {
  const open = requests.create({ path, access: requests.READ_ACCESS, options: DIRECTORY })
  const [, answer] = await client.all('a listing', [open, requests.queryDirectory('*'), requests.close()])
  expect(answer !== undefined, 'no answer')
  const output = requests.outputOf(answer)
  const entries = new Map<string, Entry>()
  for (let at = 0, next = 1; next > 0; at += next) {
    next = output.readUInt32LE(at)
    const name = output.toString('utf16le', at + 104, at + 104 + output.readUInt32LE(at + 60))
    entries.set(name, {
      name,
      access: output.readUInt32LE(at + 64),
      flags: output.readUInt16LE(at + 68),
      fork: output.readBigUInt64LE(at + 70),
      finder: Buffer.from(output.subarray(at + 78, at + 94)),
      mode: output.readUInt16LE(at + 94),
      fileId: output.readBigUInt64LE(at + 96),
      birth: output.readBigUInt64LE(at + 8),
    })
  }
  return entries
}

async function put(client: MacClient, path: string, data: Buffer): Promise<void> {
  const open = requests.create({ path, access: requests.WRITE_ACCESS, disposition: Disposition.OPEN_IF })
  await client.all(`a WRITE to ${path}`, [open, requests.write(requests.RELATED, 0, data), requests.close()])
}

/** 60 bytes, FinderInfo at 16. */
function afpInfo(): Buffer {
  const info = Buffer.alloc(60)
  info.write('AFP\0', 0, 'latin1')
  info.writeUInt32BE(0x100, 4)
  info.writeUInt32BE(0x80, 12)
  info.write(FINDER_TYPE, 16, 'latin1')
  return info
}

async function listings({ report }: Scene, client: MacClient): Promise<void> {
  await put(client, 'folder/plain', Buffer.from('plain'))
  await put(client, 'folder/rich', Buffer.from('rich'))
  await report.check('11: AFP_AfpInfo of 60 bytes and AFP_Resource are written and read back', async () => {
    await put(client, 'folder/rich:AFP_AfpInfo', afpInfo())
    await put(client, 'folder/rich:AFP_Resource', FORK)
    const open = requests.create({ path: 'folder/rich:AFP_AfpInfo', access: requests.READ_ACCESS })
    const read = requests.read(requests.RELATED, 0, 60)
    const [, answer] = await client.all('a READ', [open, read, requests.close()])
    expect(answer !== undefined && requests.readData(answer).equals(afpInfo()), 'other bytes')
  })
  const entries = await list(client, 'folder')
  const plain = entries.get('plain')
  const rich = entries.get('rich')
  if (plain === undefined || rich === undefined) throw new Error('the files are not listed')
  await report.check('5: EaSize has specific rights', () => {
    expect((plain.access & ALL_FILE_RIGHTS) === ALL_FILE_RIGHTS, plain.access.toString(16))
    expect((plain.access & GENERIC_RIGHTS) === 0, plain.access.toString(16))
  })
  await report.check('5: the flag of V2 tells which files have no streams', () => {
    same(plain.flags, 1, 'the flags of a plain file')
    same(rich.flags, 0, 'the flags of a file with streams')
  })
  await report.check('5: resource fork length, type and creator as on the disk, date added', () => {
    same(rich.fork, BigInt(FORK.length), 'the length of the fork')
    same(plain.fork, 0n, 'the length of no fork')
    same(rich.finder.toString('latin1', 0, 8), FINDER_TYPE, 'type and creator')
    const born = Number(plain.birth / 10_000_000n - 11_644_473_600n) - SECONDS_TO_2000
    same(plain.finder.readInt32BE(12), born, 'date added')
  })
  await report.check('4, 5: UNIX_BASED: st_mode with its type', () => {
    const isUnix = (client.aapl.serverCapabilities & 4) !== 0
    same(plain.mode >> 12, isUnix ? 8 : 0, 'the type of a file')
    same((entries.get('.')?.mode ?? 0) >> 12, isUnix ? 4 : 0, 'the type of a folder')
  })
  await report.check('5: file ids are not 0, unique, and those of FileInternalInformation', async () => {
    const open = requests.create({ path: 'folder/plain', access: requests.QUERY_ACCESS })
    const query = requests.queryInfo(1, FileClass.INTERNAL)
    const [, answer] = await client.all('FileInternalInformation', [open, query, requests.close()])
    expect(answer !== undefined && plain.fileId !== 0n && plain.fileId !== rich.fileId, `${plain.fileId}`)
    same(requests.outputOf(answer).readBigUInt64LE(0), plain.fileId, 'the file id')
  })
}

async function classes({ report }: Scene, client: MacClient): Promise<void> {
  await report.check('10: FileAll, FileStream, FileFsSize by compounds', async () => {
    const open = requests.create({ path: 'folder/plain', access: requests.QUERY_ACCESS })
    const all = requests.queryInfo(1, FileClass.ALL)
    const streams = requests.queryInfo(1, FileClass.STREAM)
    const [, information, list] = await client.all('queries', [open, all, streams, requests.close()])
    expect(information !== undefined && list !== undefined, 'no answers')
    same(requests.outputOf(information).readBigUInt64LE(48), 5n, 'EndOfFile of FileAllInformation')
    const text = requests.outputOf(list).toString('utf16le', 24)
    expect(text === '' || text === DATA_STREAM, `streams of a plain file: ${text}`)
    await sizeOf(client)
    const root = requests.create({ path: '', access: requests.QUERY_ACCESS, options: DIRECTORY })
    await client.all('the volume', [root, requests.queryInfo(2, FsClass.ATTRIBUTE), requests.close()])
  })
}

async function names({ report }: Scene, client: MacClient): Promise<void> {
  await report.check(
    '11: private characters, space and dot at the end, composed letters come back',
    async () => {
      for (const name of NAMES) await put(client, `folder/${name}`, Buffer.from(name))
      const entries = await list(client, 'folder')
      for (const name of NAMES) {
        expect(
          entries.has(name),
          `${JSON.stringify(name)} is not among ${JSON.stringify([...entries.keys()])}`,
        )
        await client.remove(`folder/${name}`)
      }
    },
  )
}

async function notifications({ report }: Scene, client: MacClient): Promise<void> {
  const { connection } = client
  await report.check('9, 11: CHANGE_NOTIFY waits asynchronously and ends with the same AsyncId', async () => {
    const folder = await client.open('folder', { directory: true, access: requests.READ_ACCESS })
    const waits = connection.request(requests.changeNotify(folder.fileId, NOTIFY_NAMES))
    await put(client, 'folder/noticed', Buffer.from('x'))
    const answer = await waits
    same(answer.status, Status.SUCCESS, 'the status')
    expect(answer.wentAsync, 'no interim response')
    await client.close(folder)
  })
  await report.check(
    '11: CHANGE_NOTIFY of no handle ("svrmsg") is refused, not left or unknown',
    async () => {
      const { status } = await connection.request(requests.changeNotify(requests.RELATED, NOTIFY_NAMES))
      expect(status !== Status.SUCCESS && status !== Status.NOT_IMPLEMENTED, `0x${status.toString(16)}`)
    },
  )
}

/** fruit.md 2: the table of bug 15926. */
async function semantics({ report, path }: Scene, client: MacClient): Promise<void> {
  await report.check(
    '11: an open file is unlinked by way of .smbdelete, and its handle lives on',
    async () => {
      const file = await client.create('folder/unlinked', Disposition.CREATE)
      await client.write(file, 0, Buffer.from('alive'))
      await client.rename('folder/unlinked', 'folder/.smbdeleteAAA00014.4')
      await refused(Status.OBJECT_NAME_NOT_FOUND, 'an open of the old name', client.open('folder/unlinked'))
      same((await client.read(file, 0, 5)).toString(), 'alive', 'what the handle reads')
      await client.close(file)
      await client.remove('folder/.smbdeleteAAA00014.4')
    },
  )
  await report.check(
    'fruit 2: a file with open handles loses its name at once when another deletes it',
    async () => {
      const file = await client.create('folder/deleted', Disposition.CREATE)
      await client.write(file, 0, Buffer.from('alive'))
      const open = requests.create({ path: 'folder/deleted', access: requests.DELETE_ACCESS })
      await client.all('the deletion', [open, requests.disposition(), requests.close()])
      await refused(
        Status.OBJECT_NAME_NOT_FOUND,
        'an open of its name',
        client.open('folder/deleted', { durable: false }),
      )
      same((await client.read(file, 0, 5)).toString(), 'alive', 'what the handle reads')
      await client.close(file)
    },
  )
  await report.check('fruit 2: an empty AFP_Resource is none', async () => {
    await put(client, 'folder/plain:AFP_Resource', Buffer.alloc(0)).catch(() => undefined)
    const opened = client.open('folder/plain:AFP_Resource', { durable: false })
    await refused(Status.OBJECT_NAME_NOT_FOUND, 'an open of it', opened)
  })
  await report.check('fruit 2: SET_SECURITY with an empty DACL locks nobody out', async () => {
    const access = 0x4_0000 | requests.QUERY_ACCESS
    const open = requests.create({ path: 'folder/plain', access })
    await client.connection.compound([open, requests.setEmptyDacl(), requests.close()])
    await client.close(await client.open('folder/plain'))
    same(await readFile(join(path, 'folder', 'plain'), 'utf8'), 'plain', 'the file')
  })
}

/** A share on a small file system that is filled from outside. */
export async function fullDisk(scene: Scene): Promise<void> {
  const { report, small } = scene
  if (small === undefined) {
    report.note('left out: a full disk (needs root, a mount namespace of its own, mkfs.xfs)')
    return
  }
  const client = await scene.mount({ share: small.share })
  const filler = join(small.path, '..', 'filler')
  const band = await client.create('band', Disposition.CREATE)
  const data = Buffer.alloc(1 << 20, 1)
  await client.write(band, 0, data)
  await report.check('7, 10: a full disk is DISK_FULL, never a quota', async () => {
    const [, free] = await sizeOf(client)
    await succeed('fallocate', ['-l', String(free - (4n << 20n)), filler], { seconds: 30 })
    let written = 1
    const fill = async () => {
      for (; written < 64; written++) await client.write(band, written << 20, data)
    }
    await refused(Status.DISK_FULL, `WRITEs of ${64} MiB`, fill())
    const [, left] = await sizeOf(client)
    expect(left < 4n << 20n, `${left} bytes are free`)
  })
  await report.check(
    '7: what was acknowledged before is there; once there is room, the next WRITE succeeds',
    async () => {
      await rm(filler)
      await client.write(band, 1 << 20, data)
      await client.fullSync(band)
      const content = await readFile(join(small.path, 'band'))
      expect(
        content.subarray(0, 2 << 20).every((byte) => byte === 1),
        'the band has other data',
      )
    },
  )
  await client.disconnect()
}
