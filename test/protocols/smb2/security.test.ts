/** MS-DTYP 2.5.3, MS-FSA 2.1.5.1 and 2.1.5.15: security descriptors: what is inherited, who may do what, who may set what. */

import t from 'tap'
import { FILE_ALL_ACCESS, FILE_GENERIC_READ, FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { AceFlag, AceType, makeAcl } from '../../../protocols/smb2/fscc/acl.ts'
import { FileAttribute } from '../../../protocols/smb2/fscc/attributes.ts'
import { CreateAction, CreateDisposition, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { createSecurityDescriptor, mapGenericRights } from '../../../protocols/smb2/fscc/security-creation.ts'
import {
  decodeSecurityDescriptor,
  encodeSecurityDescriptor,
  mergeSecurity,
  type SecurityDescriptor,
  SecurityDescriptorControl,
  SecurityInformation,
} from '../../../protocols/smb2/fscc/security-descriptor.ts'
import { WellKnownSid } from '../../../protocols/smb2/fscc/sid.ts'
import { CreateContextName } from '../../../protocols/smb2/messages/create-contexts.ts'
import { InfoType } from '../../../protocols/smb2/messages/query-info.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { attempt, hex, make } from '../../sim/scene.ts'
import { isClean } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { createSimServer, type SimServer } from '../../sim/sim-server.ts'
import { SimClient } from '../../sim/smb2-client.ts'

const { SUCCESS, ACCESS_DENIED } = Status
const { OPEN, CREATE, OPEN_IF } = CreateDisposition
const { OPENED, CREATED } = CreateAction
const { DIRECTORY_FILE, DELETE_ON_CLOSE } = CreateOption
const { ACCESS_ALLOWED } = AceType
const { OBJECT_INHERIT, CONTAINER_INHERIT } = AceFlag
const BOTH = OBJECT_INHERIT | CONTAINER_INHERIT

t.test('new security descriptors', (t) => {
  const [owner, group, other] = ['S-1-5-21-1-2-3-1000', 'S-1-5-21-1-2-3-1001', 'S-1-5-21-1-2-3-1002']
  const { OBJECT_INHERIT: OI, CONTAINER_INHERIT: CI, NO_PROPAGATE_INHERIT: NP, INHERIT_ONLY: IO } = AceFlag
  const { INHERITED } = AceFlag
  const { CREATOR_OWNER, CREATOR_GROUP, LOCAL_SYSTEM } = WellKnownSid
  const { DACL_AUTO_INHERITED, DACL_PROTECTED } = SecurityDescriptorControl
  type Row = [sid: string, mask: number, flags: number]
  const acl = (...rows: Row[]) =>
    makeAcl(rows.map(([sid, mask, flags]) => ({ type: AceType.ACCESS_ALLOWED, sid, mask, flags })))
  const make = (isContainer: boolean, parent?: SecurityDescriptor, creator?: SecurityDescriptor) =>
    createSecurityDescriptor({ parent, creator, isContainer, owner, group })
  const makeByMode = (parent: SecurityDescriptor, creator?: SecurityDescriptor) =>
    createSecurityDescriptor({ parent, creator, isContainer: false, owner, group, modesByDefault: true })
  const rowsOf = (descriptor: SecurityDescriptor | undefined): Row[] | null | undefined => {
    const dacl = descriptor?.dacl
    if (dacl === undefined || dacl === null) return dacl
    return dacl.aces.map((ace) => ('sid' in ace ? [ace.sid, ace.mask, ace.flags] : ['', 0, ace.flags]))
  }
  t.equal(make(false), undefined, 'nothing to inherit, nothing given')
  t.equal(make(false, { control: 0, dacl: null }), undefined)

  const standard: Row[] = [
    [owner, FILE_ALL_ACCESS, 0],
    [LOCAL_SYSTEM, FILE_ALL_ACCESS, 0],
  ]
  const cases: [flags: number, file: Row[], directory: Row[]][] = [
    [0, standard, standard],
    [OI, [[owner, 2, 0]], [[CREATOR_OWNER, 2, OI | IO]]],
    [
      CI,
      standard,
      [
        [owner, 2, 0],
        [CREATOR_OWNER, 2, CI | IO],
      ],
    ],
    [
      OI | CI,
      [[owner, 2, 0]],
      [
        [owner, 2, 0],
        [CREATOR_OWNER, 2, OI | CI | IO],
      ],
    ],
    [
      OI | CI | IO,
      [[owner, 2, 0]],
      [
        [owner, 2, 0],
        [CREATOR_OWNER, 2, OI | CI | IO],
      ],
    ],
    [OI | CI | NP, [[owner, 2, 0]], [[owner, 2, 0]]],
    [OI | NP, [[owner, 2, 0]], standard],
  ]
  for (const [flags, file, directory] of cases) {
    const parent = { control: 0, dacl: acl([CREATOR_OWNER, 2, flags]) }
    t.same(rowsOf(make(false, parent)), file, `a file below ${flags}`)
    t.same(rowsOf(make(true, parent)), directory, `a directory below ${flags}`)
    t.same(rowsOf(makeByMode(parent)), file === standard ? undefined : file, 'left to the mode')
    t.same(
      rowsOf(makeByMode(parent, { control: 0, owner })),
      rowsOf(make(false, parent)),
      'unless one is given',
    )
  }
  const plain = { control: DACL_AUTO_INHERITED, dacl: acl([other, 1, OI | CI], [CREATOR_GROUP, 1, OI]) }
  const child = make(false, plain)
  t.same(rowsOf(child), [
    [other, 1, INHERITED],
    [group, 1, INHERITED],
  ])
  t.match(child, { owner, group, control: DACL_AUTO_INHERITED })
  t.same(rowsOf(make(true, plain))?.[0], [other, 1, OI | CI | INHERITED], 'as it is, one entry is enough')
  const generic = { control: 0, dacl: acl([other, 0x8000_0000, OI | CI]) }
  t.same(rowsOf(make(true, generic)), [
    [other, FILE_GENERIC_READ, 0],
    [other, 0x8000_0000, OI | CI | IO],
  ])

  const given = { control: 0, owner: other, dacl: acl([other, 0x1000_0000, 0], [other, 4, INHERITED]) }
  const [full, inheritedBefore]: Row[] = [
    [other, FILE_ALL_ACCESS, 0],
    [other, 4, INHERITED],
  ]
  t.match(make(false, undefined, given), { owner: other, group })
  t.same(rowsOf(make(false, undefined, given)), [full, inheritedBefore])
  t.same(rowsOf(make(false, { ...plain, control: 0 }, given)), [full, inheritedBefore])
  t.same(rowsOf(make(false, plain, given)), [full, [other, 1, INHERITED], [group, 1, INHERITED]], 'both')
  t.same(rowsOf(make(false, plain, { ...given, control: DACL_PROTECTED })), [full, inheritedBefore])
  t.equal(rowsOf(make(false, plain, { control: 0, dacl: null })), null)
  t.same(rowsOf(make(false, undefined, { control: 0, owner: other })), [
    [other, FILE_ALL_ACCESS, 0],
    [LOCAL_SYSTEM, FILE_ALL_ACCESS, 0],
  ])
  const audited = { control: 0, sacl: acl([other, 1, OI]), dacl: acl([other, 1, OI]) }
  t.same(make(false, audited)?.sacl, acl([other, 1, 0]))
  const sets = { control: 0, dacl: acl([other, 0x8000_0000, OI]) }
  t.same(rowsOf(mapGenericRights(sets)), [[other, FILE_GENERIC_READ, OI]])
  t.equal(mergeSecurity(given, { control: 0 }, SecurityInformation.DACL).dacl, null, 'absent is NULL')
  t.end()
})

type Row = readonly [sid: string, mask: number, flags?: number]

const aclOf = (rows: readonly Row[]) =>
  makeAcl(rows.map(([sid, mask, flags = 0]) => ({ type: ACCESS_ALLOWED, flags, mask, sid })))

interface Accounts {
  readonly sim: SimServer
  readonly anna: SimClient
  readonly bert: SimClient
  readonly admin: SimClient
  readonly sid: (user: string) => string
}

const UIDS: Readonly<Record<string, number>> = { anna: 1000, bert: 1001 }

/** Accounts of their own, in a root where everyone may make files. */
async function accounts(): Promise<Accounts> {
  const sim = createSimServer({
    users: { bert: 'Geheim1', admin: 'Geheim2' },
    share: {
      createMask: 0o666,
      directoryMask: 0o777,
      admit: ({ user }) => {
        const uid = UIDS[user]
        const identity = uid === undefined ? undefined : { uid, gid: 100, groups: [] }
        return { identity, readOnly: false, administrator: uid === undefined }
      },
    },
    shares: [{ name: 'seen', hideUnreadable: true, admit: () => ({ ...ADMIT_ANNA }) }],
  })
  const root = await sim.storage.open({
    ...{ path: '', identity: undefined, disposition: 'open', kind: 'any', followLinks: false },
    ...{ read: false, write: false, create: { mode: 0, dosAttributes: 0 }, wantPermissions: false },
  })
  if (!root.ok) throw new Error(root.error)
  await root.handle.change({ mode: 0o777 })
  await root.handle.close()
  return {
    sim,
    anna: await SimClient.mount(sim),
    bert: await SimClient.mount(sim, { user: 'bert', password: 'Geheim1' }),
    admin: await SimClient.mount(sim, { user: 'admin', password: 'Geheim2' }),
    sid: (user) => sim.server.identities.userSid(UIDS[user] ?? 0),
  }
}

const ADMIT_ANNA = {
  identity: { uid: 1000, gid: 100, groups: [] },
  readOnly: false,
  administrator: false,
}

const { OWNER, GROUP, DACL, SACL } = SecurityInformation

async function set(
  client: SimClient,
  fileId: FileId,
  descriptor: SecurityDescriptor,
  parts: number = DACL,
): Promise<number> {
  const input = encodeSecurityDescriptor(descriptor)
  return client.setInfo(fileId, { infoType: InfoType.SECURITY, additionalInformation: parts, input })
}

async function query(client: SimClient, fileId: FileId): Promise<SecurityDescriptor> {
  const { output } = await client.queryInfo(fileId, {
    ...{ infoType: InfoType.SECURITY, fileInfoClass: 0, additionalInformation: OWNER | GROUP | DACL },
  })
  return decodeSecurityDescriptor(output)
}

/** A directory of anna's with these entries. */
async function folder(anna: SimClient, name: string, rows: readonly Row[], control = 0): Promise<void> {
  const { fileId } = await anna.create({
    ...{ name, createOptions: DIRECTORY_FILE, desiredAccess: FILE_ALL_ACCESS },
  })
  const status = await set(anna, fileId, { control, dacl: aclOf(rows) })
  if (status !== SUCCESS) throw new Error(hex(status))
  await anna.close(fileId)
}

t.test('creation below a directory with a descriptor', async (t) => {
  const { sim, anna, bert, sid } = await accounts()
  const [reads, writes] = [FileAccess.READ_DATA, FileAccess.WRITE_DATA]
  await folder(anna, 'dir', [
    [sid('anna'), FILE_ALL_ACCESS],
    [WellKnownSid.CREATOR_OWNER, FileAccess.WRITE_DATA, OBJECT_INHERIT],
    [sid('bert'), reads | writes, BOTH],
  ])
  const made = await bert.create({ name: 'dir\\file', desiredAccess: FILE_ALL_ACCESS })
  t.equal(made.response?.createAction, CREATED, 'who makes a file may do all with it')
  const descriptor = await query(bert, made.fileId)
  t.equal(descriptor.owner, sid('bert'))
  t.same(
    descriptor.dacl?.aces,
    aclOf([
      [sid('bert'), writes],
      [sid('bert'), reads | writes],
    ]).aces,
  )
  await bert.close(made.fileId)
  const file = { name: 'dir\\file', createDisposition: OPEN }
  t.equal(await attempt(bert, { ...file, desiredAccess: reads | writes }), OPENED)
  t.equal(await attempt(bert, { ...file, desiredAccess: FileAccess.EXECUTE }), hex(ACCESS_DENIED), 'later on')
  t.equal(await attempt(anna, { ...file, desiredAccess: reads }), hex(ACCESS_DENIED))
  t.equal(await attempt(anna, { ...file, desiredAccess: FileAccess.DELETE }), OPENED, 'by DELETE_CHILD')
  t.equal(await attempt(bert, { ...file, desiredAccess: FileAccess.DELETE }), hex(ACCESS_DENIED))

  const sub = { name: 'dir\\sub', createOptions: DIRECTORY_FILE }
  t.equal(await attempt(bert, { ...sub, createDisposition: CREATE }), hex(ACCESS_DENIED), 'ADD_SUBDIRECTORY')
  t.equal(await attempt(anna, { ...sub, createDisposition: CREATE }), CREATED)
  t.equal(
    await attempt(anna, { ...file, name: 'dir\\file:s', createDisposition: OPEN_IF }),
    hex(ACCESS_DENIED),
  )
  t.equal(
    await attempt(anna, { ...file, name: 'dir\\file:s', desiredAccess: FileAccess.READ_ATTRIBUTES }),
    hex(Status.OBJECT_NAME_NOT_FOUND),
    'a stream that was refused is not left behind',
  )
  const maximal = await anna.create({ ...file, desiredAccess: FileAccess.MAXIMUM_ALLOWED })
  const granted = sim.server.globalOpenTable.get(maximal.fileId.volatile)?.grantedAccess
  t.equal(granted, FileAccess.DELETE | FileAccess.READ_ATTRIBUTES)
  await anna.close(maximal.fileId)

  await folder(anna, 'auto', [[sid('bert'), reads, BOTH]], 0x0500)
  await folder(anna, 'closed', [[sid('anna'), FILE_ALL_ACCESS]])
  const rename = async (client: SimClient, name: string, to: string) => {
    const { fileId } = await client.create({ name, desiredAccess: FileAccess.DELETE })
    const input = renameTo(to)
    const status = await client.setInfo(fileId, { fileInfoClass: FileInformationClass.Rename, input })
    await client.close(fileId)
    return status
  }
  await make(bert, 'berts')
  t.equal(await rename(bert, 'berts', 'closed\\berts'), ACCESS_DENIED, 'a name is added there')
  await make(anna, 'closed\\kept')
  t.equal(await rename(anna, 'closed\\kept', 'closed\\moved'), SUCCESS)
  t.same(sim.complaints, [])
  await isClean(t, sim)
})

/** FILE_RENAME_INFORMATION that replaces. */
function renameTo(name: string): Buffer {
  const text = Buffer.from(name, 'utf16le')
  const input = Buffer.alloc(20 + text.length)
  input[0] = 1
  input.writeUInt32LE(text.length, 16)
  text.copy(input, 20)
  return input
}

t.test('what may be set and given', async (t) => {
  const { sim, anna, bert, admin, sid } = await accounts()
  const { fileId } = await anna.create({ name: 'file', desiredAccess: FILE_ALL_ACCESS })
  t.equal(await set(anna, fileId, { control: 0, owner: sid('bert') }, OWNER), Status.INVALID_OWNER)
  t.equal(await set(anna, fileId, { control: 0, owner: WellKnownSid.EVERYONE }, OWNER), SUCCESS, 'she is one')
  t.equal((await query(anna, fileId)).owner, WellKnownSid.EVERYONE)
  t.equal(await set(anna, fileId, { control: 0, owner: sid('anna') }, OWNER), SUCCESS)
  t.equal(await set(anna, fileId, { control: 0 }), SUCCESS)
  t.equal((await query(anna, fileId)).dacl, null, 'no list at all: everything is allowed')
  t.equal(
    await set(anna, fileId, { control: 0, dacl: aclOf([[sid('bert'), FileAccess.GENERIC_READ]]) }),
    SUCCESS,
  )
  t.same((await query(anna, fileId)).dacl, aclOf([[sid('bert'), FILE_GENERIC_READ]]), 'with rights spelt out')
  t.equal(await set(anna, fileId, { control: 0, sacl: null }, SACL), ACCESS_DENIED)
  const system = { name: 'file', desiredAccess: FileAccess.ACCESS_SYSTEM_SECURITY }
  t.equal(await attempt(anna, system), hex(Status.PRIVILEGE_NOT_HELD))
  t.equal(await attempt(admin, system), OPENED)
  const given = (descriptor: SecurityDescriptor) => [
    { name: CreateContextName.SECURITY_DESCRIPTOR, data: encodeSecurityDescriptor(descriptor) },
  ]
  const fresh = (name: string, descriptor: SecurityDescriptor) => ({
    ...{ name, createDisposition: CREATE, createContexts: given(descriptor) },
  })
  t.equal(await attempt(anna, fresh('a', { control: 0, owner: sid('bert') })), hex(Status.INVALID_OWNER))
  t.equal(await attempt(anna, fresh('a', { control: 0, sacl: aclOf([]) })), hex(Status.PRIVILEGE_NOT_HELD))
  t.equal(await attempt(admin, fresh('a', { control: 0, owner: sid('bert') })), CREATED)
  const onlyHis = { control: 0, dacl: aclOf([[sid('bert'), FILE_ALL_ACCESS]]) }
  const mine = await anna.create({ desiredAccess: FILE_ALL_ACCESS, ...fresh('b', onlyHis) })
  t.match(await query(anna, mine.fileId), { owner: sid('anna') })
  const other = await bert.create({ name: 'b', desiredAccess: FileAccess.WRITE_DAC, createDisposition: OPEN })
  t.equal(await set(bert, other.fileId, { control: 0, dacl: null }), SUCCESS, 'the list lets him')
  for (const name of ['c', 'd']) await make(anna, name, DIRECTORY_FILE)
  const folderOf = await anna.create({
    name: 'c',
    createOptions: DIRECTORY_FILE,
    desiredAccess: FILE_ALL_ACCESS,
  })
  const shown = await query(anna, folderOf.fileId)
  t.equal(await set(anna, folderOf.fileId, shown), SUCCESS, 'set as it was shown')
  await make(anna, 'c\\below')
  const below = { name: 'c\\below', desiredAccess: FILE_ALL_ACCESS, createDisposition: OPEN }
  t.equal(await attempt(anna, below), OPENED, 'it changes nothing for what is made below')
  t.same(sim.complaints, [])
  await isClean(t, sim)
})

t.test('access-based enumeration, appending, deletion', async (t) => {
  const { sim, anna, bert, sid } = await accounts()
  await make(anna, 'dir', DIRECTORY_FILE)
  for (const [name, mask] of [
    ['shown', FILE_GENERIC_READ],
    ['hidden', FILE_GENERIC_READ & ~FileAccess.READ_EA],
  ] as const) {
    const { fileId } = await anna.create({ name: `dir\\${name}`, desiredAccess: FILE_ALL_ACCESS })
    t.equal(await set(anna, fileId, { control: 0, dacl: aclOf([[sid('anna'), mask]]) }), SUCCESS)
    await anna.close(fileId)
  }
  await make(anna, 'dir\\plain')
  const names = async (share: string) => {
    const client = await SimClient.mount(sim, { share })
    const { fileId } = await client.create({ name: 'dir', createOptions: DIRECTORY_FILE })
    return (await client.list(fileId)).names
  }
  t.same((await names('share')).length, 5)
  t.same(await names('seen'), ['.', '..', 'shown', 'plain'])

  await make(anna, 'log')
  const { fileId } = await anna.create({ name: 'log', desiredAccess: FileAccess.APPEND_DATA })
  t.equal(await anna.write(fileId, 'one'), SUCCESS)
  t.equal(await anna.write(fileId, 'two', 3n), SUCCESS)
  t.equal(await anna.write(fileId, 'x', 2n), ACCESS_DENIED, 'what is there stays')
  await anna.close(fileId)

  const doomed = await anna.create({ name: 'doomed', createOptions: DELETE_ON_CLOSE })
  let unlink: () => void = () => undefined
  sim.storage.faults.delayNext('remove', new Promise<void>((resolve) => (unlink = resolve)))
  const closed = anna.close(doomed.fileId)
  await settled()
  t.equal(await attempt(bert, { name: 'doomed' }), hex(Status.DELETE_PENDING), 'no one is let in any more')
  unlink()
  t.equal(await closed, SUCCESS)
  t.equal(await attempt(bert, { name: 'doomed', createDisposition: CREATE }), CREATED)

  const readonly = { fileAttributes: FileAttribute.READONLY, createOptions: DELETE_ON_CLOSE }
  t.equal(await attempt(anna, { name: 'kept', ...readonly }), hex(Status.CANNOT_DELETE))
  t.equal(await attempt(anna, { name: 'kept', createDisposition: OPEN }), hex(Status.OBJECT_NAME_NOT_FOUND))
  t.equal(
    await attempt(anna, { name: 'log', ...readonly, createDisposition: OPEN_IF }),
    OPENED,
    'of new files',
  )
  t.same(sim.complaints, [])
  await isClean(t, sim)
})
