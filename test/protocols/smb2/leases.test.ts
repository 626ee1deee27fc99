/** MS-SMB2 3.3.4.7, 3.3.5.9.8, 3.3.5.9.11, 3.3.5.22.2: leases between clients of a whole server, with a clock moved by hand. */

import t, { type Test } from 'tap'
import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { CreateDisposition, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { OplockLevel } from '../../../protocols/smb2/messages/create.ts'
import {
  decodeLeaseContext,
  encodeLeaseContext,
  type LeaseContext,
  LeaseFlag,
} from '../../../protocols/smb2/messages/create-context-lease.ts'
import { CreateContextName, findCreateContext } from '../../../protocols/smb2/messages/create-contexts.ts'
import { Capability, Dialect } from '../../../protocols/smb2/messages/dialects.ts'
import { InfoType } from '../../../protocols/smb2/messages/query-info.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'
import { OPLOCK_BREAK_TIMEOUT_MILLISECONDS } from '../../../protocols/smb2/state/break-waits.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { isClean, tryLogOn, watch } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { createSimServer, type SimServer, type SimServerOptions } from '../../sim/sim-server.ts'
import { leaseBits, leaseText, type MountOptions, SimClient } from '../../sim/smb2-client.ts'
import type { CreateFields } from '../../sim/smb2-requests.ts'

/** 16 bytes of one letter. */
const key = (letter: string): Buffer => Buffer.alloc(16, letter)

interface LeaseFields extends Partial<CreateFields> {
  readonly key?: string
  readonly parent?: string
  readonly epoch?: number
  readonly version?: 1 | 2
}

interface Leased {
  readonly status: number
  readonly fileId: FileId
  readonly oplockLevel: number | undefined
  /** "RWH", with its epoch in version 2, and "!" amid a break; undefined without a context. */
  readonly lease: string | undefined
  readonly context: LeaseContext | undefined
}

/** CREATE of "file" with a lease of version 2. */
async function lease(client: SimClient, state: string, fields: LeaseFields = {}): Promise<Leased> {
  const { key: letter = 'A', parent, epoch = 0, version = 2, ...create } = fields
  const data = encodeLeaseContext({
    version,
    leaseKey: key(letter),
    leaseState: leaseBits(state),
    leaseFlags: parent === undefined ? 0 : LeaseFlag.PARENT_LEASE_KEY_SET,
    parentLeaseKey: parent === undefined ? Buffer.alloc(16) : key(parent),
    epoch,
  })
  const created = await client.create({
    name: 'file',
    requestedOplockLevel: OplockLevel.LEASE,
    createContexts: [{ name: CreateContextName.LEASE, data }],
    ...create,
  })
  const { status, response } = created
  const answer = response && findCreateContext(response.createContexts, CreateContextName.LEASE)
  const context = answer && decodeLeaseContext(answer)
  return {
    status,
    oplockLevel: response?.oplockLevel,
    lease: context && textOf(context),
    context,
    get fileId() {
      return created.fileId
    },
  }
}

function textOf({ leaseState, leaseFlags, version, epoch }: LeaseContext): string {
  const isBreaking = (leaseFlags & LeaseFlag.BREAK_IN_PROGRESS) !== 0
  return leaseText(leaseState) + (version === 2 ? String(epoch) : '') + (isBreaking ? '!' : '')
}

const FOLDER = { name: 'folder', createOptions: CreateOption.DIRECTORY_FILE } as const
const SMB3: MountOptions = { dialects: [Dialect.SMB_3_0_2] }

interface Scene {
  readonly sim: SimServer
  readonly anna: SimClient
  readonly bert: SimClient
}

/** A test with two clients of 3.0.2, at whose end nothing is left and the server has nothing to complain of. */
function scene(
  name: string,
  play: (t: Test, scene: Scene) => Promise<void>,
  options: SimServerOptions = {},
): void {
  t.test(name, async (t) => {
    const sim = createSimServer(options)
    const mount = (address: string): Promise<SimClient> => SimClient.mount(sim, { ...SMB3, address })
    const [anna, bert] = [await mount('anna'), await mount('bert')]
    for (const client of [anna, bert]) client.arrivals.length = 0
    await play(t, { sim, anna, bert })
    t.same(sim.complaints, [])
    await isClean(t, sim)
    t.equal(sim.server.leaseTables.size, 0, 'no lease is left')
  })
}

/** The breaks that arrived since the last time. */
function breaksOf(client: SimClient): string[] {
  return client.arrivals.splice(0).filter((arrival) => arrival.startsWith('break'))
}

scene(
  'granted as asked, with epochs; a break delays the CREATE that caused it',
  async (t, { anna, bert }) => {
    const first = await lease(anna, 'RWH', { epoch: 7 })
    t.match(first, { oplockLevel: OplockLevel.LEASE, lease: 'RWH8' })
    t.same(first.context?.leaseKey, key('A'))
    const pending = lease(bert, 'RWH', { key: 'B' })
    await settled()
    t.same(bert.arrivals, ['CREATE pending'])
    t.same(breaksOf(anna), ['break RWH>RH?'])
    t.match(anna.breaks[0], { kind: 'lease', newEpoch: 9, leaseKey: key('A') })
    t.equal((await lease(anna, 'RWH')).lease, 'RWH9!', 'its own opens do not wait, and see the break')
    await anna.write(first.fileId, 'dirty')
    t.equal(await anna.acknowledgeLease(key('A'), 'RWH'), Status.REQUEST_NOT_ACCEPTED)
    t.equal(await anna.acknowledgeLease(key('X'), 'RH'), Status.OBJECT_NAME_NOT_FOUND)
    t.equal(
      await bert.acknowledgeLease(key('A'), 'RH'),
      Status.OBJECT_NAME_NOT_FOUND,
      'keys are the client’s own',
    )
    t.equal(await anna.acknowledgeLease(key('A'), 'RH'), Status.SUCCESS)
    t.equal(await anna.acknowledgeLease(key('A'), 'RH'), Status.UNSUCCESSFUL, 'nothing is being broken')
    t.equal((await pending).lease, 'RH1')
    t.equal(await bert.write((await pending).fileId, 'x'), Status.SUCCESS, 'no one is waited for')
    t.same(breaksOf(anna), ['break RH>?'], 'but what was read is to be forgotten')
    t.same(breaksOf(bert), [], 'a lease does not break itself')
    t.equal((await lease(anna, '')).lease, 'RH10!')
  },
)

scene('what is asked for in vain, or wrongly', async (t, { sim, anna }) => {
  const level = async (
    fields: LeaseFields,
    state = 'RWH',
  ): Promise<[number | undefined, string | undefined]> => {
    const { oplockLevel, lease: text, fileId } = await lease(anna, state, fields)
    await anna.close(fileId)
    return [oplockLevel, text]
  }
  const { LEASE, NONE, BATCH } = OplockLevel
  t.same(await level({}, 'WH'), [LEASE, '0'], 'nothing without reading: a lease that allows nothing')
  t.same(await level({ version: 1 }), [LEASE, 'RWH'], 'version 1')
  t.same(await level({ requestedOplockLevel: BATCH }), [BATCH, undefined], 'a context beside an oplock')
  t.same(await level({ key: '\0' }), [NONE, undefined], 'no key')
  t.same(await level(FOLDER), [LEASE, 'RH1'], 'a directory')
  t.same(await level({ createContexts: [] }), [NONE, undefined], 'no context')
  const broken = { createContexts: [{ name: CreateContextName.LEASE, data: Buffer.alloc(33) }] }
  t.equal((await lease(anna, 'R', broken)).status, Status.INVALID_PARAMETER, 'neither version')

  const held = await lease(anna, 'R')
  t.equal(
    (await lease(anna, 'R', { name: 'other' })).status,
    Status.INVALID_PARAMETER,
    'a key is of one file',
  )
  t.equal((await lease(anna, 'R', { name: 'file:stream' })).status, Status.INVALID_PARAMETER, 'or stream')
  t.equal((await lease(anna, 'R', { name: 'FILE', version: 1 })).lease, 'R1', 'in the version that made it')
  const missing = { name: 'other', createDisposition: CreateDisposition.OPEN }
  t.equal((await anna.create(missing)).status, Status.OBJECT_NAME_NOT_FOUND, 'and nothing was made')
  t.equal(await rename(anna, held.fileId, 'elsewhere'), Status.SUCCESS)
  t.equal((await lease(anna, 'R', { name: 'elsewhere' })).lease, 'R1', 'a lease goes along with its file')
  t.equal((await lease(anna, 'R')).status, Status.INVALID_PARAMETER)

  const old = await SimClient.mount(sim, { dialects: [Dialect.SMB_2_1], address: 'old' })
  t.equal((old.negotiated?.capabilities ?? 0) & Capability.DIRECTORY_LEASING, 0)
  t.match(await lease(old, 'RWH', { name: 'old' }), { oplockLevel: NONE }, 'version 2 is of 3.0')
  t.match(await lease(old, 'RWH', { name: 'new', version: 1 }), { oplockLevel: LEASE, lease: 'RWH' })
  t.match(await lease(old, 'R', { ...FOLDER, name: 'old folder', version: 1, key: 'F' }), {
    oplockLevel: NONE,
  })
  const oldest = await SimClient.mount(sim, { dialects: [Dialect.SMB_2_0_2], address: 'oldest' })
  t.equal((oldest.negotiated?.capabilities ?? 0) & Capability.LEASING, 0)
  t.match(await lease(oldest, 'R', { name: 'oldest', version: 1 }), { oplockLevel: NONE })
})

scene('breaks that go on, and no acknowledgment at all', async (t, { sim, anna, bert }) => {
  const held = await lease(anna, 'RWH')
  const opening = bert.create({ name: 'file' })
  const overwriting = bert.create({ name: 'file', createDisposition: CreateDisposition.OVERWRITE })
  const states = [watch(opening), watch(overwriting)]
  await settled()
  t.same(breaksOf(anna), ['break RWH>RH?'])
  t.equal(await anna.acknowledgeLease(key('A'), 'RH'), Status.SUCCESS)
  t.same(anna.arrivals.splice(0), ['OPLOCK_BREAK 0x00000000', 'break RH>R?'], 'after the response')
  t.same([states[0]?.done, states[1]?.done], [false, false])
  t.equal(await anna.acknowledgeLease(key('A'), 'R'), Status.SUCCESS)
  t.same(breaksOf(anna), ['break R>'])
  t.same([(await opening).status, (await overwriting).status], [Status.SUCCESS, Status.SUCCESS])
  t.same(
    anna.breaks.splice(0).map((each) => (each.kind === 'lease' ? each.newEpoch : 0)),
    [2, 2, 2],
  )

  await bert.close((await opening).fileId)
  await bert.close((await overwriting).fileId)
  t.equal((await lease(anna, 'RWH')).lease, 'RWH3')
  const patient = bert.create({ name: 'file' })
  const state = watch(patient)
  await sim.environment.advance(OPLOCK_BREAK_TIMEOUT_MILLISECONDS - 1)
  t.notOk(state.done)
  await sim.environment.advance(1)
  t.equal((await patient).status, Status.SUCCESS)
  t.equal(await anna.acknowledgeLease(key('A'), 'RH'), Status.UNSUCCESSFUL)
  t.equal((await lease(anna, '')).lease, '4')
  await anna.close(held.fileId)
})

scene('handles that no one uses are closed for others', async (t, { anna, bert }) => {
  const alone = { shareAccess: 0 }
  const held = await lease(anna, 'RH', alone)
  const opening = bert.create({ name: 'file', ...alone })
  await settled()
  t.same(breaksOf(anna), ['break RH>R?'])
  await anna.close(held.fileId)
  const other = await opening
  t.equal(other.status, Status.SUCCESS)
  await bert.close(other.fileId)

  const kept = await lease(anna, 'RH')
  const doomed = await bert.create({ name: 'file' })
  const deleting = dispose(bert, doomed.fileId)
  await settled()
  t.same(breaksOf(anna), ['break RH>R?'], 'deleting')
  t.equal(await anna.acknowledgeLease(key('A'), 'R'), Status.SUCCESS)
  t.equal(await deleting, Status.SUCCESS)
  await bert.close(doomed.fileId)
  t.equal((await bert.create({ name: 'file' })).status, Status.DELETE_PENDING)
  await anna.close(kept.fileId)

  const renamed = await lease(anna, 'RH')
  const source = await bert.create({ name: 'file' })
  const renaming = rename(bert, source.fileId, 'renamed')
  await settled()
  t.same(breaksOf(anna), ['break RH>R?'], 'renaming')
  t.equal(await anna.acknowledgeLease(key('A'), 'R'), Status.SUCCESS)
  t.equal(await renaming, Status.SUCCESS)
  await anna.close(renamed.fileId)

  const target = await lease(anna, 'RWH', { name: 'target', key: 'T' })
  const replacing = rename(bert, source.fileId, 'target')
  await settled()
  t.same(breaksOf(anna), ['break RWH>RW?'], 'renaming over it')
  t.equal(await anna.acknowledgeLease(key('T'), 'RW'), Status.SUCCESS)
  t.equal(await replacing, Status.ACCESS_DENIED, 'which it keeps open')
  t.equal(await link(bert, source.fileId, 'target'), Status.ACCESS_DENIED, 'linking over it')
  t.same(breaksOf(anna), [])
  await anna.close(target.fileId)
  t.equal(await link(bert, source.fileId, 'target'), Status.SUCCESS)
})

scene(
  'a directory is cached until what is in it changes, by anyone without its key',
  async (t, { anna, bert }) => {
    let { fileId } = await lease(anna, 'RH', { ...FOLDER, key: 'D' })
    const again = async (
      what: string,
      expected: readonly string[],
      change: () => Promise<unknown>,
    ): Promise<void> => {
      anna.arrivals.length = 0
      await change()
      t.same(breaksOf(anna), expected, what)
      await anna.acknowledgeLease(key('D'), '')
      await anna.close(fileId)
      fileId = (await lease(anna, 'RH', { ...FOLDER, key: 'D' })).fileId
    }
    const broken = ['break RH>?']
    const child = { name: 'folder\\child' }
    await again('its own child', [], async () => {
      const made = await lease(anna, 'RWH', { ...child, key: 'C', parent: 'D' })
      t.equal(made.context?.leaseFlags, LeaseFlag.PARENT_LEASE_KEY_SET)
      t.same(made.context?.parentLeaseKey, key('D'))
      await anna.write(made.fileId, 'data')
      await anna.close(made.fileId)
    })
    await again('a child of another parent', broken, async () => {
      const made = await lease(anna, 'R', { name: 'folder\\second', key: 'C', parent: 'X' })
      await anna.close(made.fileId)
    })
    await again('opening', [], async () => bert.close((await bert.create(child)).fileId))
    await again('writing is seen when the writer closes', broken, async () => {
      const open = await bert.create(child)
      await bert.write(open.fileId, 'more')
      t.same(breaksOf(anna), [])
      await bert.close(open.fileId)
    })
    await again('renaming', broken, async () => {
      const open = await bert.create(child)
      await rename(bert, open.fileId, 'folder\\renamed')
      await bert.close(open.fileId)
    })
    await again('deleting, when the last handle is closed', broken, async () => {
      const open = await bert.create({ name: 'folder\\renamed' })
      await dispose(bert, open.fileId)
      t.same(breaksOf(anna), [])
      await bert.close(open.fileId)
    })
    const moving = await bert.create(FOLDER)
    const renaming = rename(bert, moving.fileId, 'moved')
    await settled()
    t.same(breaksOf(anna), ['break RH>R?'], 'its own name')
    t.equal(await anna.acknowledgeLease(key('D'), 'R'), Status.SUCCESS)
    t.equal(await renaming, Status.SUCCESS)
    await bert.close((await bert.create({ name: 'moved\\new' })).fileId)
    t.same(breaksOf(anna), ['break R>'], 'it is known by its new one')
  },
)

scene(
  'oplocks and leases beside each other, and leases past the limit',
  async (t, { sim, anna, bert }) => {
    const reading = { desiredAccess: FileAccess.READ_DATA }
    const held = await lease(anna, 'RH')
    const oplock = await bert.create({ name: 'file', requestedOplockLevel: OplockLevel.BATCH, ...reading })
    t.equal(oplock.response?.oplockLevel, OplockLevel.NONE, 'no level II beside handles')
    await anna.close(held.fileId)
    await bert.close(oplock.fileId)
    const batch = await bert.create({ name: 'file', requestedOplockLevel: OplockLevel.BATCH })
    const pending = lease(anna, 'RWH')
    await settled()
    t.same(breaksOf(bert), ['break II'])
    t.equal(await bert.acknowledge(batch.fileId, OplockLevel.II), Status.SUCCESS)
    t.equal((await pending).lease, 'R1', 'no handles beside level II')

    const second = await lease(anna, 'R', { name: 'second', key: 'B' })
    t.match(await lease(anna, 'R', { name: 'third', key: 'C' }), {
      oplockLevel: OplockLevel.NONE,
      lease: undefined,
    })
    t.equal(sim.server.usage.refused.get('leases'), 1)
    t.equal((await lease(anna, 'R', { name: 'second', key: 'B' })).lease, 'R1', 'one that is there is shared')
    t.equal((await lease(bert, 'R', { name: 'third' })).lease, 'R1', 'other clients have their own')
    t.ok(second)
  },
  { limits: { leasesPerClient: 2 } },
)

t.test('the break of a lease finds another channel when one is gone', async (t) => {
  const sim = createSimServer()
  const options = { dialects: [Dialect.SMB_3_1_1] }
  const first = await SimClient.mount(sim, options)
  const { session, treeId } = first
  if (session === undefined) throw new Error('there is no session')
  const second = await SimClient.negotiate(sim, options)
  t.equal((await tryLogOn(second, { binds: session })).status, Status.SUCCESS)
  Object.assign(second, { session, treeId, signs: true })
  const { fileId } = await lease(first, 'RWH')
  const bert = await SimClient.mount(sim, { ...SMB3, address: 'bert' })
  const pending = bert.create({ name: 'file' })
  await settled()
  t.same([breaksOf(first), breaksOf(second)], [['break RWH>RH?'], []])
  first.drop()
  await settled()
  t.same(breaksOf(second), ['break RWH>RH?'])
  t.equal(await second.close(fileId), Status.SUCCESS)
  t.equal((await pending).status, Status.SUCCESS)
  for (const client of [second, bert]) client.drop()
  await settled()
  t.same(sim.complaints, [])
  t.equal(sim.server.leaseTables.size, 0)
})

function setInfo(client: SimClient, fileId: FileId, fileInfoClass: number, input: Buffer): Promise<number> {
  return client.setInfo(fileId, { infoType: InfoType.FILE, fileInfoClass, additionalInformation: 0, input })
}

function dispose(client: SimClient, fileId: FileId): Promise<number> {
  return setInfo(client, fileId, FileInformationClass.Disposition, Buffer.from([1]))
}

/** MS-FSCC 2.4.42.2 and 2.4.27.2 are alike: ReplaceIfExists, RootDirectory, FileName, and at least 24 bytes. */
function nameInformation(fileName: string): Buffer {
  const writer = new Writer().u64(1n).u64(0n)
  return writer
    .u32(2 * fileName.length)
    .utf16(fileName)
    .zeros(4)
    .finish()
}

function rename(client: SimClient, fileId: FileId, fileName: string): Promise<number> {
  return setInfo(client, fileId, FileInformationClass.Rename, nameInformation(fileName))
}

function link(client: SimClient, fileId: FileId, fileName: string): Promise<number> {
  return setInfo(client, fileId, FileInformationClass.Link, nameInformation(fileName))
}
