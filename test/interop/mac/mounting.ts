/** macos.md 1 to 4 and 9: how a Mac mounts, and what it takes from the answers. Much is checked by MacClient.connect itself. */

import { randomBytes } from 'node:crypto'
import { expect } from '../report.ts'
import type { MacClient } from './client.ts'
import { Smb } from './connection.ts'
import * as contexts from './contexts.ts'
import * as requests from './requests.ts'
import { type Scene, same } from './scene.ts'

const Capability = { LEASING: 2, LARGE_MTU: 4, PERSISTENT: 0x10, DIRECTORY_LEASING: 0x20 } as const
const Aapl = { READ_DIR_ATTR: 1, OSX_COPYFILE: 2, UNIX_BASED: 4, READ_DIR_ATTR_V2: 0x10, HIFI: 0x20 } as const
const Volume = { RESOLVE_ID: 1, CASE_SENSITIVE: 2, FULL_SYNC: 4 } as const
const FILE_NAMED_STREAMS = 0x4_0000
const KERBEROS = Buffer.from('2a864886f712010202', 'hex')
const MICROSOFT_KERBEROS = Buffer.from('2a864882f712010202', 'hex')
const ALL_SPECIFIC = 0x1ff
const CREDITS_WANTED = 512
const MIB = 1 << 20

/**
 * Not testable from outside with a 3.1.1 server: FSCTL_VALIDATE_NEGOTIATE_INFO (2; 3.0 and 3.0.2 alone), HIFI (4; disk
 * images alone). Not done by this script: alternate channels (1) and encryption; other suites and unit tests have them.
 */
export async function mounting(scene: Scene): Promise<void> {
  const { report } = scene
  let mac: MacClient | undefined
  await report.check(
    '1, 2: SMB 1 NEGOTIATE to 0x02FF, 3.1.1, NTLMv2 with MIC, signed to the end',
    async () => {
      mac = await scene.mount()
    },
  )
  if (mac === undefined) return
  const client = mac
  await negotiated(scene, client)
  await sessions(scene, client)
  await createContexts(scene, client)
  await extensions(scene, client)
  await flow(scene, client)
  await report.check('a Mac unmounts', () => client.disconnect())
}

async function negotiated({ report }: Scene, { negotiated: answer }: MacClient): Promise<void> {
  await report.check('1: dialect 3.1.1, one cipher, GMAC', () => {
    same(answer.dialect, 0x311, 'the dialect')
    same(answer.cipher, 4, 'the cipher')
    same(answer.signing, 2, 'the signing algorithm')
  })
  await report.check(
    '1, 6: LEASING and LARGE_MTU; no PERSISTENT_HANDLES without a share that has them',
    () => {
      const bits = answer.capabilities
      expect((bits & Capability.LEASING) !== 0, 'no LEASING: no durable handles on a Mac')
      expect((bits & Capability.LARGE_MTU) !== 0, 'no LARGE_MTU')
      expect((bits & Capability.PERSISTENT) === 0, 'PERSISTENT_HANDLES are named and not granted')
    },
  )
  await report.check('9: MaxTransact of 64 KiB, quanta of 1 MiB and more', () => {
    expect(answer.maxTransact >= requests.LISTING_BYTES, `MaxTransact ${answer.maxTransact}`)
    expect(answer.maxRead >= MIB && answer.maxWrite >= MIB, `${answer.maxRead}, ${answer.maxWrite}`)
  })
  await report.check('2: no Kerberos is offered that is not there', () => {
    const { token } = answer
    expect(!token.includes(KERBEROS) && !token.includes(MICROSOFT_KERBEROS), 'Kerberos is offered')
  })
}

async function sessions(scene: Scene, client: MacClient): Promise<void> {
  const { report } = scene
  await report.check('2: a wrong password is refused, not made a guest', async () => {
    const message = await scene.mount({ password: 'wrong' }).then(
      () => 'a session',
      (error: unknown) => String(error),
    )
    expect(message.includes('0xc000006d'), message)
  })
  await report.check('2: Finder and Time Machine of one Mac have a session each', async () => {
    const finder = await scene.mount()
    expect(finder.connection.sessionId !== client.connection.sessionId, 'the same session')
    await client.request('ECHO', requests.echo())
    await finder.disconnect()
    await client.request('ECHO', requests.echo())
  })
}

async function createContexts({ report }: Scene, client: MacClient): Promise<void> {
  const open = async (asked: readonly contexts.Context[], disposition = requests.Disposition.OPEN_IF) => {
    const create = requests.create({
      ...{ path: 'contexts', access: requests.WRITE_ACCESS, disposition, contexts: asked },
    })
    const first = await client.first('the CREATE', [create, requests.close()])
    return requests.parseCreate(first, asked).contexts
  }
  await report.check('3: MxAc has 8 bytes and all rights, QFid 32, nothing else comes', async () => {
    const answers = await open([contexts.empty('QFid'), contexts.empty('MxAc')])
    const access = answers.get('MxAc')
    expect(access !== undefined && answers.has('QFid'), 'not answered')
    same(access.readUInt32LE(0), 0, 'the status of MxAc')
    expect((access.readUInt32LE(4) & ALL_SPECIFIC) === ALL_SPECIFIC, access.toString('hex'))
    same((await open([])).size, 0, 'the number of contexts that nobody asked for')
  })
  await report.check('3: RqLs of 32 bytes is answered with 32, of 52 with 52, with its key', async () => {
    const two = contexts.lease(randomBytes(16), 7)
    const one = { name: 'RqLs', data: Buffer.from(two.data.subarray(0, 32)) }
    for (const asked of [one, two]) {
      const answer = (await open([asked])).get('RqLs')
      same(answer?.length, asked.data.length, 'the length')
      same(answer?.readUInt32LE(16), 7, 'the lease')
    }
  })
  await report.check('3: DHnQ of SMB 2 is answered with 8 bytes', async () => {
    const asked = [{ name: 'DHnQ', data: Buffer.alloc(16) }, contexts.lease(randomBytes(16), 7)]
    expect((await open(asked)).has('DHnQ'), 'not granted')
  })
  await report.check('4: RESOLVE_ID finds a file by its id', async () => {
    const id = (await open([contexts.empty('QFid')])).get('QFid')?.readBigUInt64LE(0) ?? 0n
    const asked = [contexts.resolveId(id)]
    const root = requests.create({
      ...{ path: '', access: requests.QUERY_ACCESS, disposition: requests.Disposition.OPEN, contexts: asked },
    })
    const first = await client.first('RESOLVE_ID', [root, requests.close()])
    const answer = requests.parseCreate(first, asked).contexts.get('AAPL') ?? Buffer.alloc(16)
    same(answer.readUInt32LE(0), 2, 'the command')
    same(answer.readUInt32LE(8), 0, 'the status')
    same(answer.toString('utf16le', 16, 16 + answer.readUInt32LE(12)), 'contexts', 'the path')
  })
  await client.remove('contexts')
}

async function extensions(
  { report }: Scene,
  { aapl, fsAttributes, negotiated: answer }: MacClient,
): Promise<void> {
  await report.check('4: AAPL: every part that was asked for, V2 alone, no HIFI', () => {
    same(aapl.bitmap, 7, 'the bitmap')
    const caps = aapl.serverCapabilities
    expect((caps & Aapl.READ_DIR_ATTR_V2) !== 0, 'no READ_DIR_ATTR_V2: slow browsing')
    expect((caps & Aapl.READ_DIR_ATTR) === 0, 'both versions of READ_DIR_ATTR')
    expect((caps & Aapl.HIFI) === 0, 'HIFI')
    expect(aapl.model !== '', 'no model')
  })
  await report.check('4, 7.1: the volume has FULL_SYNC, and is not case sensitive', () => {
    const caps = aapl.volumeCapabilities
    expect((caps & Volume.FULL_SYNC) !== 0, '"does not support SMB FullFSync"')
    expect((caps & Volume.CASE_SENSITIVE) === 0, 'CASE_SENSITIVE')
    expect((caps & Volume.RESOLVE_ID) !== 0, 'no RESOLVE_ID: files are not found by their ids')
  })
  await report.check('6: not taken for an old macOS server, which has no deferred close', () => {
    const old = (answer.capabilities & Capability.DIRECTORY_LEASING) === 0
    const caps = aapl.serverCapabilities
    const all = Aapl.OSX_COPYFILE | Aapl.UNIX_BASED | Aapl.READ_DIR_ATTR_V2
    expect(!old || (caps & all) !== all, 'LEASING without DIRECTORY_LEASING')
  })
  await report.check('10: FileFsAttributeInformation says NTFS with named streams', () => {
    expect((fsAttributes.readUInt32LE(0) & FILE_NAMED_STREAMS) !== 0, 'no named streams')
    same(fsAttributes.toString('utf16le', 12, 12 + fsAttributes.readUInt32LE(8)), 'NTFS', 'the name')
  })
}

async function flow({ report }: Scene, client: MacClient): Promise<void> {
  const { connection } = client
  await report.check('9: ECHO is answered, 512 credits are granted', async () => {
    for (let count = 0; count < 4; count++) await client.request('ECHO', requests.echo())
    expect(connection.credits >= CREDITS_WANTED, `${connection.credits} credits`)
  })
  await report.check(
    '9: eight quanta of 1 MiB in flight, and one of 8 MiB or all that a WRITE may have',
    async () => {
      const file = await client.create('quanta', requests.Disposition.CREATE)
      const data = randomBytes(8 * MIB)
      const parts = Array.from({ length: 8 }, (_, index) => index * MIB)
      await Promise.all(parts.map((at) => client.write(file, at, data.subarray(at, at + MIB))))
      const read = await Promise.all(parts.map((at) => client.read(file, at, MIB)))
      expect(Buffer.concat(read).equals(data), 'other data came back')
      const largest = Math.min(data.length, client.negotiated.maxWrite)
      await client.write(file, 0, data.subarray(0, largest))
      await client.close(file)
    },
  )
  await report.check('9: CREATE, IOCTL for a resume key, CLOSE: in order, nothing interim amid', async () => {
    const access = requests.Access.READ_DATA | requests.Access.READ_ATTRIBUTES | requests.Access.READ_EA
    const open = requests.create({ path: 'quanta', access, share: requests.Share.READ })
    const ask = requests.ioctl(requests.Fsctl.SRV_REQUEST_RESUME_KEY, requests.RELATED, Buffer.alloc(0), 32)
    const answers = await client.all('a resume key', [open, ask, requests.close()])
    expect(
      answers.every((answer) => !answer.wentAsync),
      'a part went asynchronous',
    )
    const [, key] = answers
    expect(key !== undefined && requests.ioctlOutputOf(key).length >= 24, 'no key')
  })
  await report.check('9: compounds of CREATE with READ, WRITE, QUERY_DIRECTORY', async () => {
    const open = (path: string, options = 0) =>
      requests.create({ path, access: requests.WRITE_ACCESS, options })
    const { RELATED } = requests
    await client.all('a WRITE', [
      open('quanta'),
      requests.write(RELATED, 0, Buffer.from('abc')),
      requests.close(),
    ])
    const [, read] = await client.all('a READ', [
      open('quanta'),
      requests.read(RELATED, 0, 3),
      requests.close(),
    ])
    expect(read !== undefined && requests.readData(read).toString() === 'abc', 'other data')
    const root = open('', requests.CreateOption.DIRECTORY)
    await client.all('a listing', [root, requests.queryDirectory('*'), requests.close()])
    await client.remove('quanta')
  })
  await report.check('9: a FLUSH of no handle is refused, and the connection stays', async () => {
    const gone = await connection.request(requests.flush(Buffer.alloc(16, 1)))
    expect(gone.status !== 0 && gone.command === Smb.FLUSH, 'a FLUSH of no handle succeeded')
    await client.request('ECHO', requests.echo())
  })
}
