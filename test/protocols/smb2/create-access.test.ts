/** MS-SMB2 3.3.5.9, MS-FSA 2.1.5.1: CREATE: who may have what open, and with whom; what is deleted when. */

import t from 'tap'
import { FILE_ALL_ACCESS, FILE_GENERIC_READ, FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { AceType, makeAcl } from '../../../protocols/smb2/fscc/acl.ts'
import { FileAttribute } from '../../../protocols/smb2/fscc/attributes.ts'
import { CreateAction, CreateDisposition, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { encodeFullEaList } from '../../../protocols/smb2/fscc/ea.ts'
import {
  decodeSecurityDescriptor,
  encodeSecurityDescriptor,
  SecurityInformation,
} from '../../../protocols/smb2/fscc/security-descriptor.ts'
import { WellKnownSid } from '../../../protocols/smb2/fscc/sid.ts'
import type { CreateRequest } from '../../../protocols/smb2/messages/create.ts'
import { CreateContextName } from '../../../protocols/smb2/messages/create-contexts.ts'
import { InfoType } from '../../../protocols/smb2/messages/query-info.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { attempt, hex, make, scene } from '../../sim/scene.ts'
import { isClean } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { createSimServer, type SimServer } from '../../sim/sim-server.ts'
import { SimClient } from '../../sim/smb2-client.ts'
import { createRequest } from '../../sim/smb2-requests.ts'

const { SUCCESS, ACCESS_DENIED, DELETE_PENDING } = Status
const { OBJECT_NAME_NOT_FOUND, SHARING_VIOLATION } = Status
const { SUPERSEDE, OPEN, CREATE, OPEN_IF, OVERWRITE } = CreateDisposition
const { OPENED, CREATED, OVERWRITTEN } = CreateAction
const { DIRECTORY_FILE, DELETE_ON_CLOSE } = CreateOption

scene('deletion', async (t, { anna, bert }) => {
  const first = await anna.create({ name: 'file', createOptions: DELETE_ON_CLOSE })
  const second = await bert.create({ name: 'file' })
  t.equal(second.status, SUCCESS)
  t.equal(await anna.close(first.fileId), SUCCESS)
  t.equal((await anna.create({ name: 'file' })).status, DELETE_PENDING, 'the other keeps it')
  t.equal(await bert.write(second.fileId, 'x'), SUCCESS)
  t.equal(await bert.close(second.fileId), SUCCESS)
  t.equal(await attempt(anna, { name: 'file', createDisposition: OPEN }), hex(OBJECT_NAME_NOT_FOUND))

  await make(anna, 'dir', DIRECTORY_FILE)
  const doomed = await anna.create({ name: 'dir', createOptions: DIRECTORY_FILE | DELETE_ON_CLOSE })
  await make(anna, 'dir\\late')
  t.equal(await anna.close(doomed.fileId), SUCCESS)
  t.equal(
    await attempt(anna, { name: 'dir\\late', createDisposition: OPEN }),
    OPENED,
    'a directory that is not empty stays',
  )
  const fields = { name: 'kept', fileAttributes: FileAttribute.READONLY }
  await make(anna, 'kept')
  t.equal(await attempt(anna, { ...fields, createDisposition: OVERWRITE }), OVERWRITTEN)
  const readonly = { name: 'kept', createOptions: DELETE_ON_CLOSE, desiredAccess: FileAccess.DELETE }
  t.equal(await attempt(anna, readonly), hex(Status.CANNOT_DELETE), 'a read-only file')
  t.equal(
    await attempt(anna, { name: 'kept', createDisposition: OPEN }),
    hex(ACCESS_DENIED),
    'nor is it written',
  )
})

scene('a deletion that is dropped with the connection', async (t, { anna, bert }) => {
  await anna.create({ name: 'temporary', createOptions: DELETE_ON_CLOSE })
  anna.drop()
  await settled()
  t.equal(await attempt(bert, { name: 'temporary', createDisposition: OPEN }), hex(OBJECT_NAME_NOT_FOUND))
})

t.test('sharing', async (t) => {
  const [r, w, d] = [FileAccess.READ_DATA, FileAccess.WRITE_DATA, FileAccess.DELETE]
  const [R, W, D] = [1, 2, 4]
  const cases: [
    first: [access: number, share: number],
    second: [access: number, share: number],
    fits: boolean,
  ][] = [
    [[r, R], [r, R], true],
    [[r, R], [w, R], false],
    [[r, R | W], [w, R], true],
    [[r, R | W], [w, W], false],
    [[w, 0], [r, R | W | D], false],
    [[d, R], [r, D], true],
    [[d, R], [r, R], false],
    [[r, R], [d, R], false],
    [[r, R | D], [d, R], true],
    [[r, 0], [FileAccess.READ_ATTRIBUTES, 0], true],
    [[FileAccess.READ_ATTRIBUTES, 0], [r | w | d, 0], true],
  ]
  const sim = createSimServer()
  const [anna, bert] = [await SimClient.mount(sim), await SimClient.mount(sim)]
  for (const [index, [first, second, fits]] of cases.entries()) {
    const name = `file-${index}`
    await make(anna, name)
    const [one, two] = [first, second].map(([desiredAccess, shareAccess]) => ({
      name,
      desiredAccess,
      shareAccess,
    }))
    const held = await anna.create(one as { name: string })
    t.equal(held.status, SUCCESS)
    const result = await attempt(bert, two as { name: string })
    t.equal(result, fits ? OPENED : hex(SHARING_VIOLATION), `${first} and ${second}`)
  }
  const alone = { name: 'file', shareAccess: 0 }
  const held = await anna.create(alone)
  t.equal(
    await attempt(bert, {
      ...alone,
      createDisposition: OVERWRITE,
      desiredAccess: FileAccess.READ_ATTRIBUTES,
    }),
    hex(SHARING_VIOLATION),
    'who overwrites, writes',
  )
  t.equal(
    await attempt(bert, { ...alone, name: 'file:stream', shareAccess: 7 }),
    CREATED,
    'a stream has sharing of its own',
  )
  await anna.close(held.fileId)
  t.equal(await attempt(bert, alone), OPENED)
  await isClean(t, sim)
})

scene('MAXIMUM_ALLOWED', async (t, { sim, anna }) => {
  const all = await anna.create({ name: 'file', desiredAccess: FileAccess.MAXIMUM_ALLOWED })
  t.equal(await anna.write(all.fileId, 'data'), SUCCESS)
  await anna.close(all.fileId)
  const again = await anna.create({ name: 'file', desiredAccess: FileAccess.MAXIMUM_ALLOWED })
  t.equal(sim.server.globalOpenTable.get(again.fileId.volatile)?.grantedAccess, FILE_ALL_ACCESS)
  t.equal((await anna.read(again.fileId, 4)).output.toString(), 'data')
  const generic = await anna.create({ name: 'file', desiredAccess: FileAccess.GENERIC_READ })
  t.equal(sim.server.globalOpenTable.get(generic.fileId.volatile)?.grantedAccess, FILE_GENERIC_READ)
  t.equal(await anna.write(generic.fileId, 'x'), ACCESS_DENIED)
})

t.test('a read-only share', async (t) => {
  const admit = () => ({ identity: undefined, readOnly: true, administrator: false })
  const sim = createSimServer({ shares: [{ name: 'static', admit }] })
  const writer = await SimClient.mount(sim)
  await make(writer, 'file')
  const reader = await SimClient.mount(sim, { share: 'static' })
  const read = { name: 'file', desiredAccess: FileAccess.GENERIC_READ, createDisposition: OPEN }
  t.equal(await attempt(reader, read), OPENED)
  t.equal(await attempt(reader, { ...read, createDisposition: OPEN_IF }), OPENED)
  t.equal(await attempt(reader, { ...read, desiredAccess: FileAccess.MAXIMUM_ALLOWED }), OPENED)
  const refused: Partial<CreateRequest>[] = [
    { desiredAccess: FileAccess.WRITE_DATA },
    { desiredAccess: FileAccess.DELETE },
    { desiredAccess: FileAccess.WRITE_DAC },
    { createDisposition: OVERWRITE },
    { createDisposition: SUPERSEDE },
    { name: 'new', createDisposition: CREATE },
    { name: 'new', createDisposition: OPEN_IF },
    { name: 'new:stream', createDisposition: OPEN_IF },
    { name: 'file:stream', createDisposition: OPEN_IF },
    { name: 'new', createDisposition: CREATE, createOptions: DIRECTORY_FILE },
  ]
  for (const fields of refused) {
    t.equal(await attempt(reader, { ...read, ...fields }), hex(ACCESS_DENIED), JSON.stringify(fields))
  }
  t.equal(await attempt(writer, { name: 'new', createDisposition: OPEN }), hex(OBJECT_NAME_NOT_FOUND))
  await isClean(t, sim)
})

/** Lets everyone make files in the root, as /tmp does. */
async function openToAll(sim: SimServer): Promise<void> {
  const root = await sim.storage.open({
    ...{ path: '', identity: undefined, disposition: 'open', kind: 'any', followLinks: false },
    ...{ read: false, write: false, create: { mode: 0, dosAttributes: 0 }, wantPermissions: false },
  })
  if (!root.ok) throw new Error(root.error)
  await root.handle.change({ mode: 0o1777 })
  await root.handle.close()
}

t.test('accounts, modes and security descriptors', async (t) => {
  const uids: Record<string, number> = { anna: 1000, bert: 1001 }
  const sim = createSimServer({
    users: { bert: 'Geheim1' },
    share: {
      admit: ({ user }) => ({
        identity: { uid: uids[user] ?? 65534, gid: 100, groups: [] },
        ...{ readOnly: false, administrator: false },
      }),
    },
  })
  await openToAll(sim)
  const anna = await SimClient.mount(sim)
  const bert = await SimClient.mount(sim, { user: 'bert', password: 'Geheim1' })
  const [reads, writes] = [FileAccess.READ_DATA, FileAccess.WRITE_DATA]
  await make(anna, 'annas')
  const open = (client: SimClient, desiredAccess: number) =>
    attempt(client, { name: 'annas', desiredAccess, createDisposition: OPEN })
  t.equal(await open(bert, reads), OPENED, 'mode 0644')
  t.equal(await open(bert, writes), hex(ACCESS_DENIED))
  t.equal(await open(bert, FileAccess.DELETE), hex(ACCESS_DENIED), 'the sticky bit')
  t.equal(await open(anna, FILE_ALL_ACCESS), OPENED)

  const sid = (user: string) => sim.server.identities.userSid(uids[user] ?? 0)
  const { ACCESS_ALLOWED, ACCESS_DENIED: DENIED } = AceType
  const setDacl = async (
    ...aces: [type: typeof ACCESS_ALLOWED | typeof DENIED, sid: string, mask: number][]
  ) => {
    const { fileId } = await anna.create({
      name: 'annas',
      desiredAccess: FileAccess.WRITE_DAC,
      createDisposition: OPEN,
    })
    const dacl = makeAcl(aces.map(([type, who, mask]) => ({ type, flags: 0, mask, sid: who })))
    const input = encodeSecurityDescriptor({ control: 0, dacl })
    const status = await anna.setInfo(fileId, {
      ...{ infoType: InfoType.SECURITY, additionalInformation: SecurityInformation.DACL, input },
    })
    await anna.close(fileId)
    return status
  }
  t.equal(
    await setDacl([DENIED, sid('bert'), reads], [ACCESS_ALLOWED, WellKnownSid.EVERYONE, FILE_ALL_ACCESS]),
    SUCCESS,
  )
  t.equal(await open(bert, reads), hex(ACCESS_DENIED), 'denied by name')
  t.equal(await open(bert, FileAccess.READ_ATTRIBUTES), OPENED)
  t.equal(await open(anna, reads | writes), OPENED)
  t.equal(await setDacl([ACCESS_ALLOWED, sid('bert'), FileAccess.GENERIC_ALL]), SUCCESS)
  t.equal(await open(bert, reads), OPENED)
  t.equal(await open(bert, writes), hex(ACCESS_DENIED), 'the kernel has the last word')
  t.equal(await open(anna, reads), hex(ACCESS_DENIED), 'the owner is not named')
  t.equal(await open(anna, FileAccess.WRITE_DAC), OPENED, 'but may always change that')
  for (const connection of sim.server.connectionList) connection.negotiatedAapl = true
  t.equal(await setDacl(), SUCCESS)
  t.equal(await open(bert, reads), OPENED, 'an empty list is passed over from Macs')
  for (const connection of sim.server.connectionList) connection.negotiatedAapl = false
  t.equal(await setDacl(), SUCCESS)
  t.equal(await open(bert, reads), hex(ACCESS_DENIED), 'and taken from others: nobody may do anything')
  t.equal(await open(anna, FileAccess.WRITE_DAC), OPENED, 'but the owner, who can change that')
  t.equal(await setDacl([ACCESS_ALLOWED, sid('bert'), FileAccess.GENERIC_ALL]), SUCCESS)

  const { fileId } = await bert.create({
    name: 'annas',
    desiredAccess: FileAccess.READ_CONTROL,
    createDisposition: OPEN,
  })
  const { output } = await bert.queryInfo(fileId, {
    ...{
      infoType: InfoType.SECURITY,
      fileInfoClass: 0,
      additionalInformation: SecurityInformation.DACL | SecurityInformation.OWNER,
    },
  })
  const descriptor = decodeSecurityDescriptor(output)
  t.equal(descriptor.owner, sid('anna'))
  t.same(
    descriptor.dacl?.aces.map((ace) => 'sid' in ace && ace.sid),
    [sid('bert')],
  )
  t.same(sim.complaints, [])
  await isClean(t, sim)
})

scene(
  'a client that is gone before its file has all its attributes holds no oplock',
  async (t, { sim, anna, bert }) => {
    const first = await bert.create({ name: 'file', desiredAccess: FileAccess.READ_ATTRIBUTES })
    let wake: () => void = () => undefined
    sim.storage.faults.delayNext(
      'setExtendedAttributes',
      new Promise<void>((resolve) => {
        wake = resolve
      }),
    )
    const data = encodeFullEaList([{ flags: 0, name: 'A', value: Buffer.from('b') }], 64).bytes
    const createContexts = [{ name: CreateContextName.EXTENDED_ATTRIBUTES, data }]
    const fields = { name: 'file', createContexts, requestedOplockLevel: 9, createDisposition: OVERWRITE }
    anna.send([createRequest(fields)])
    await settled()
    anna.drop()
    await settled()
    wake()
    await settled()
    t.equal(await attempt(bert, { name: 'file', createDisposition: OPEN }), OPENED, 'no one is waited for')
    await bert.close(first.fileId)
  },
)
