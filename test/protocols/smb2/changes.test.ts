/** MS-SMB2 3.3.5.19, 3.3.4.4; MS-FSA 2.1.5.11: CHANGE_NOTIFY. */

import type { Test } from 'tap'
import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { CreateDisposition, CreateOption } from '../../../protocols/smb2/fscc/create-options.ts'
import { FileInformationClass } from '../../../protocols/smb2/fscc/file-information.ts'
import { NOTIFY_FILTER_ALL, NotifyAction, NotifyFilter } from '../../../protocols/smb2/fscc/notify.ts'
import { InfoType } from '../../../protocols/smb2/messages/query-info.ts'
import type { FileId } from '../../../protocols/smb2/messages/structure.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { filetimeOfMilliseconds } from '../../../protocols/wire/filetime.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import type { LocalChange } from '../../../storage/file-system.ts'
import { setBasic } from '../../sim/basic-information.ts'
import { make, scene } from '../../sim/scene.ts'
import { watch } from '../../sim/sim-checks.ts'
import { settled } from '../../sim/sim-environment.ts'
import { outputOf, type SimClient } from '../../sim/smb2-client.ts'
import { notifyRequest, queryInfoRequest } from '../../sim/smb2-requests.ts'

const { SUCCESS, INVALID_PARAMETER } = Status
const { DIRECTORY_FILE, DELETE_ON_CLOSE } = CreateOption
const DIRECTORY = { createOptions: DIRECTORY_FILE }
const LIST = { desiredAccess: FileAccess.READ_DATA | FileAccess.READ_ATTRIBUTES }
const WATCH_TREE = { flags: 1 }

async function openFolder(client: SimClient, name: string): Promise<FileId> {
  const { fileId } = await client.create({ name, ...DIRECTORY, ...LIST })
  return fileId
}

/** What a CHANGE_NOTIFY answered, as "ADDED name". */
function changesIn(output: Buffer): string[] {
  const changes: string[] = []
  for (let at = 0, next = output.length; next > 0; at += next) {
    next = output.readUInt32LE(at)
    const action = ACTION_NAMES.get(output.readUInt32LE(at + 4))
    const length = output.readUInt32LE(at + 8)
    changes.push(`${action} ${output.toString('utf16le', at + 12, at + 12 + length)}`)
  }
  return changes
}

const ACTION_NAMES = new Map<number, string>(
  Object.entries(NotifyAction).map(([name, action]) => [action, name]),
)

/** Waits for a change of a folder, lets `change` happen, and checks what is told of it. */
async function expectChanges(
  t: Test,
  client: SimClient,
  fileId: FileId,
  change: () => Promise<unknown>,
  expected: readonly string[],
): Promise<void> {
  const answer = client.request(notifyRequest(fileId, NOTIFY_FILTER_ALL, WATCH_TREE))
  await settled()
  await change()
  const changes = changesIn(outputOf(await answer).output)
  // The first answer comes with the first change; the others are kept for the next request.
  while (changes.length < expected.length) {
    changes.push(
      ...changesIn(
        outputOf(await client.request(notifyRequest(fileId, NOTIFY_FILTER_ALL, WATCH_TREE))).output,
      ),
    )
  }
  t.same(changes, expected)
}

function renameTo(name: string): Buffer {
  return new Writer()
    .u8(0)
    .zeros(7)
    .u64(0n)
    .u32(name.length * 2)
    .utf16(name)
    .finish()
}

scene('changes', async (t, { anna, bert }) => {
  const root = await openFolder(anna, '')
  await make(bert, 'folder', DIRECTORY_FILE)
  await expectChanges(t, anna, root, () => make(bert, 'folder\\new'), ['ADDED folder\\new'])
  await expectChanges(
    t,
    anna,
    root,
    async () => {
      const { fileId } = await bert.create({ name: 'folder\\new' })
      await bert.setInfo(fileId, { fileInfoClass: FileInformationClass.Rename, input: renameTo('moved') })
      await bert.close(fileId)
    },
    ['REMOVED folder\\new', 'ADDED moved'],
  )
  await expectChanges(
    t,
    anna,
    root,
    async () => {
      const { fileId } = await bert.create({ name: 'moved', desiredAccess: 0x102 })
      const size = new Writer().size64(7).finish()
      await bert.setInfo(fileId, { fileInfoClass: FileInformationClass.EndOfFile, input: size })
      await bert.close(fileId)
    },
    ['MODIFIED moved'],
  )
  const { OVERWRITE } = CreateDisposition
  const overwrite = async () =>
    bert.close((await bert.create({ name: 'moved', createDisposition: OVERWRITE })).fileId)
  await expectChanges(t, anna, root, overwrite, ['MODIFIED moved'])
  await expectChanges(t, anna, root, () => make(bert, 'moved', DELETE_ON_CLOSE), ['REMOVED moved'])
})

scene('what is not of interest', async (t, { anna, bert }) => {
  await make(anna, 'folder', DIRECTORY_FILE)
  const shallow = await openFolder(anna, 'folder')
  const directories = await openFolder(anna, '')
  const one = anna.request(notifyRequest(shallow, NotifyFilter.FILE_NAME))
  const two = anna.request(notifyRequest(directories, NotifyFilter.DIR_NAME, WATCH_TREE))
  const [first, second] = [watch(one), watch(two)]
  await make(bert, 'beside')
  await make(bert, 'folder\\sub', DIRECTORY_FILE)
  await settled()
  t.notOk(first.done, 'beside it; a directory; not itself')
  t.same(changesIn(outputOf(await two).output), ['ADDED folder\\sub'])
  await make(bert, 'folder\\sub\\deep')
  await settled()
  t.notOk(first.done, 'deeper than asked')
  await make(bert, 'folder\\here')
  t.same(changesIn(outputOf(await one).output), ['ADDED here'])
  t.ok(second.done)
})

scene('watches', async (t, { anna, bert }) => {
  const root = await openFolder(anna, '')
  const again = () => anna.request(notifyRequest(root, NotifyFilter.FILE_NAME))
  const waiting = again()
  await settled()
  const next = again()
  await make(bert, 'one')
  t.same(changesIn(outputOf(await waiting).output), ['ADDED one'])
  await make(bert, 'once more')
  t.same(changesIn(outputOf(await next).output), ['ADDED once more'], 'each change answers one request')
  await make(bert, 'two')
  await make(bert, 'three')
  t.same(changesIn(outputOf(await again()).output), ['ADDED two', 'ADDED three'], 'kept between requests')
  const small = anna.request(notifyRequest(root, NotifyFilter.FILE_NAME, { outputBufferLength: 16 }))
  await make(bert, 'a name that does not fit')
  t.equal((await small).status, Status.NOTIFY_ENUM_DIR)
  const closing = again()
  await settled()
  t.equal(await anna.close(root), SUCCESS)
  t.equal((await closing).status, Status.NOTIFY_CLEANUP)

  const file = await anna.create({ name: 'file' })
  t.equal((await anna.request(notifyRequest(file.fileId, 1))).status, INVALID_PARAMETER)
  const blind = await anna.create({ name: '', desiredAccess: FileAccess.READ_ATTRIBUTES })
  t.equal((await anna.request(notifyRequest(blind.fileId, 1))).status, Status.ACCESS_DENIED)
})

scene('a watched folder that is renamed', async (t, { anna, bert }) => {
  await make(bert, 'before', DIRECTORY_FILE)
  const folder = await openFolder(anna, 'before')
  const mover = await bert.create({ name: 'before', ...DIRECTORY })
  const waiting = anna.request(notifyRequest(folder, NOTIFY_FILTER_ALL))
  const rename = { fileInfoClass: FileInformationClass.Rename, input: renameTo('after') }
  t.equal(await bert.setInfo(mover.fileId, rename), SUCCESS)
  await make(bert, 'after\\new')
  t.same(changesIn(outputOf(await waiting).output), ['ADDED new'])
})

const ALL_RIGHTS = FileAccess.MAXIMUM_ALLOWED
const LONG_AGO = filetimeOfMilliseconds(Date.UTC(1999, 1, 2))

/** One bit of the filter after the other: which of them hears of a change, and what. */
async function heardBy(client: SimClient, folder: string, change: () => Promise<unknown>): Promise<string> {
  const heard = new Map<number, readonly string[]>()
  const watches: { readonly fileId: FileId; readonly bit: number; readonly news: Promise<unknown> }[] = []
  for (let bit = 1; bit < NOTIFY_FILTER_ALL; bit <<= 1) {
    const fileId = await openFolder(client, folder)
    const news = client.request(notifyRequest(fileId, bit)).then((answer) => {
      if (answer.status === SUCCESS) heard.set(bit, changesIn(outputOf(answer).output))
    })
    watches.push({ fileId, bit, news })
  }
  await settled()
  await change()
  await settled()
  for (const { fileId } of watches) await client.close(fileId)
  await Promise.all(watches.map(({ news }) => news))
  const names = Object.entries(NotifyFilter).filter(([, bit]) => heard.has(bit))
  const changes = new Set([...heard.values()].flat())
  return `${names.map(([name]) => name).join(' ')}: ${[...changes].join(', ')}`
}

scene('each kind of change is heard by those who asked for it', async (t, { anna, bert }) => {
  await make(bert, 'd', DIRECTORY_FILE)
  const heard = async (change: () => Promise<unknown>) => heardBy(anna, 'd', change)
  const { fileId } = await bert.create({ name: 'd\\f', desiredAccess: ALL_RIGHTS })
  t.equal(await heard(() => bert.write(fileId, 'data')), 'SIZE LAST_WRITE: MODIFIED f')
  t.equal(await heard(() => bert.write(fileId, 'data')), ': ', 'not for every WRITE')
  t.equal(await heard(() => bert.flush(fileId)), 'SIZE LAST_WRITE: MODIFIED f', 'the last when it is flushed')
  t.equal(await heard(() => bert.flush(fileId)), ': ')
  t.equal(await heard(() => setBasic(bert, fileId, { attributes: 2 })), 'ATTRIBUTES: MODIFIED f')
  t.equal(await heard(() => setBasic(bert, fileId, { write: LONG_AGO })), 'LAST_WRITE: MODIFIED f')
  t.equal(await heard(() => setBasic(bert, fileId, { access: LONG_AGO })), 'LAST_ACCESS: MODIFIED f')
  t.equal(await heard(() => setBasic(bert, fileId, { creation: LONG_AGO })), 'CREATION: MODIFIED f')
  t.equal(await heard(() => setBasic(bert, fileId, {})), ': ', 'nothing was set')
  const ea = new Writer().u32(0).u8(0).u8(1).u16(1).bytes(Buffer.from('A\0v')).finish()
  const setEa = { fileInfoClass: FileInformationClass.FullEa, input: ea }
  t.equal(await heard(() => bert.setInfo(fileId, setEa)), 'EA: MODIFIED f')
  const descriptor = outputOf(
    await bert.request(queryInfoRequest({ fileId, infoType: InfoType.SECURITY, additionalInformation: 4 })),
  ).output
  const setSecurity = { infoType: InfoType.SECURITY, additionalInformation: 4, input: descriptor }
  t.equal(await heard(() => bert.setInfo(fileId, setSecurity)), 'SECURITY: MODIFIED f')
  const link = { fileInfoClass: FileInformationClass.Link, input: renameTo('d\\linked') }
  t.equal(await heard(() => bert.setInfo(fileId, link)), 'FILE_NAME: ADDED linked')
  const rename = { fileInfoClass: FileInformationClass.Rename, input: renameTo('d\\g') }
  t.equal(
    await heard(() => bert.setInfo(fileId, rename)),
    'FILE_NAME ATTRIBUTES CREATION: RENAMED_OLD_NAME f, RENAMED_NEW_NAME g, MODIFIED g',
  )
  await bert.close(fileId)
  t.equal(await heard(() => make(bert, 'd\\sub', DIRECTORY_FILE)), 'DIR_NAME: ADDED sub')
  t.equal(await heard(() => make(bert, 'd\\sub', DIRECTORY_FILE | DELETE_ON_CLOSE)), 'DIR_NAME: REMOVED sub')
})

scene('changes of streams', async (t, { anna, bert }) => {
  await make(bert, 'd', DIRECTORY_FILE)
  await make(bert, 'd\\f')
  const heard = async (change: () => Promise<unknown>) => heardBy(anna, 'd', change)
  let stream: FileId | undefined
  const open = async () => {
    stream = (await bert.create({ name: 'd\\f:s', desiredAccess: ALL_RIGHTS })).fileId
  }
  t.equal(await heard(open), 'STREAM_NAME: ADDED_STREAM f:s')
  if (stream === undefined) return
  const fileId = stream
  t.equal(await heard(() => bert.write(fileId, 'x')), 'STREAM_SIZE STREAM_WRITE: MODIFIED_STREAM f:s')
  const rename = { fileInfoClass: FileInformationClass.Rename, input: renameTo(':t') }
  t.equal(
    await heard(() => bert.setInfo(fileId, rename)),
    'STREAM_NAME: REMOVED_STREAM f:s, ADDED_STREAM f:t',
  )
  await bert.close(fileId)
  t.equal(await heard(() => make(bert, 'd\\f:t', DELETE_ON_CLOSE)), 'STREAM_NAME: REMOVED_STREAM f:t')
})

scene('what the first request settles', async (t, { anna, bert }) => {
  const root = await openFolder(anna, '')
  const first = anna.request(notifyRequest(root, NotifyFilter.DIR_NAME, { outputBufferLength: 100 }))
  await make(bert, 'a', DIRECTORY_FILE)
  t.same(changesIn(outputOf(await first).output), ['ADDED a'])
  const second = anna.request(notifyRequest(root, NotifyFilter.FILE_NAME, WATCH_TREE))
  await make(bert, 'file')
  await make(bert, 'a\\deep', DIRECTORY_FILE)
  await make(bert, 'b', DIRECTORY_FILE)
  t.same(changesIn(outputOf(await second).output), ['ADDED b'], 'filter and depth')
  for (const name of ['c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']) await make(bert, name, DIRECTORY_FILE)
  const third = await anna.request(notifyRequest(root, NotifyFilter.DIR_NAME))
  t.equal(third.status, Status.NOTIFY_ENUM_DIR, 'and how much is kept')
})

scene('a watched folder that is deleted', async (t, { anna, bert }) => {
  await make(bert, 'd', DIRECTORY_FILE)
  const folder = await openFolder(anna, 'd')
  const waiting = [anna, anna].map((client) => client.request(notifyRequest(folder, NOTIFY_FILTER_ALL)))
  await settled()
  await make(bert, 'd', DIRECTORY_FILE | DELETE_ON_CLOSE)
  for (const answer of waiting) t.equal((await answer).status, Status.DELETE_PENDING)
  const late = await anna.request(notifyRequest(folder, NOTIFY_FILTER_ALL))
  t.equal(late.status, Status.DELETE_PENDING)
})

scene(
  'limits of watches',
  async (t, { sim, anna, bert }) => {
    const folders = await Promise.all([anna, anna, anna].map((client) => openFolder(client, '')))
    const answers = folders.map((folder) => anna.request(notifyRequest(folder, NotifyFilter.FILE_NAME)))
    t.equal((await answers[2])?.status, Status.INSUFFICIENT_RESOURCES, 'of a session')
    const others = await Promise.all([bert, bert].map((client) => openFolder(client, '')))
    const more = others.map((folder) => bert.request(notifyRequest(folder, NotifyFilter.FILE_NAME)))
    t.equal((await more[1])?.status, Status.INSUFFICIENT_RESOURCES, 'in total')
    t.equal(sim.server.changes.size, 3)
    await make(bert, 'one')
    for (const name of ['two', 'three', 'four']) await make(bert, name)
    const late = await anna.request(notifyRequest(folders[0] as FileId, NotifyFilter.FILE_NAME))
    const later = await anna.request(notifyRequest(folders[1] as FileId, NotifyFilter.FILE_NAME))
    t.same([late, later].map(({ status }) => status).sort(), [SUCCESS, Status.NOTIFY_ENUM_DIR].sort())
    for (const folder of folders) await anna.close(folder)
    for (const folder of others) await bert.close(folder)
    await Promise.all([...answers, ...more])
    t.equal(sim.server.changes.size, 0)
    t.equal(sim.server.changes.kept.used, 0)
  },
  { limits: { watchesPerSession: 2, watches: 3, keptChanges: 5 } },
)

scene('what local processes change', async (t, { sim, anna, bert }) => {
  await make(bert, 'd', DIRECTORY_FILE)
  const folder = await openFolder(anna, 'd')
  const next = async (): Promise<string[]> =>
    changesIn(outputOf(await anna.request(notifyRequest(folder, NOTIFY_FILTER_ALL))).output)
  const report = (change: LocalChange) => sim.storage.reportLocal('d', change)
  const first = next()
  await settled()
  report({ kind: 'added', name: 'local', isDirectory: false })
  t.same(await first, ['ADDED local'])
  report({ kind: 'written', name: 'local', isDirectory: false })
  report({ kind: 'attributes', name: 'local', isDirectory: false })
  report({ kind: 'renamed', name: 'local', to: 'moved', isDirectory: false })
  report({ kind: 'removed', name: 'moved', isDirectory: false })
  t.same(await next(), [
    ...[
      'MODIFIED local',
      'MODIFIED local',
      'RENAMED_OLD_NAME local',
      'RENAMED_NEW_NAME moved',
      'REMOVED moved',
    ],
  ])
  await make(bert, 'd\\own')
  report({ kind: 'added', name: 'own', isDirectory: false })
  report({ kind: 'written', name: 'own', isDirectory: false })
  t.same(await next(), ['ADDED own'], 'what a client did comes once')
  report({ kind: 'removed', name: 'own', isDirectory: false })
  t.same(await next(), ['REMOVED own'], 'which does not hide that someone else removes it')
  await sim.environment.advance(3000)
  report({ kind: 'written', name: 'own', isDirectory: false })
  t.same(await next(), ['MODIFIED own'], 'nor what is done later')
  const lost = anna.request(notifyRequest(folder, NOTIFY_FILTER_ALL))
  await settled()
  report({ kind: 'lost' })
  t.equal((await lost).status, Status.NOTIFY_ENUM_DIR)
  const rename = { fileInfoClass: FileInformationClass.Rename, input: renameTo('e') }
  const mover = await bert.create({ name: 'd', ...DIRECTORY })
  t.equal(await bert.setInfo(mover.fileId, rename), SUCCESS)
  sim.storage.reportLocal('e', { kind: 'added', name: 'after the move', isDirectory: true })
  t.same(await next(), ['ADDED after the move'])
  await anna.close(folder)
  await settled()
  report({ kind: 'added', name: 'too late', isDirectory: false })
})

scene('what local processes change below', async (t, { sim, anna, bert }) => {
  await make(bert, 'd', DIRECTORY_FILE)
  await make(bert, 'd\\e', DIRECTORY_FILE)
  const [folder, flat] = [await openFolder(anna, 'd'), await openFolder(anna, 'd')]
  const next = async (fileId: FileId, fields: object): Promise<string[]> =>
    changesIn(outputOf(await anna.request(notifyRequest(fileId, NOTIFY_FILTER_ALL, fields))).output)
  const report = (change: LocalChange) => sim.storage.reportLocal('d/e', change)
  const [deep, entries] = [next(folder, WATCH_TREE), next(flat, {})]
  await settled()
  report({ kind: 'added', name: 'local', isDirectory: false })
  t.same(await deep, ['ADDED e\\local'])
  report({ kind: 'renamed', name: 'local', to: 'moved', isDirectory: false })
  t.same(await next(folder, WATCH_TREE), ['RENAMED_OLD_NAME e\\local', 'RENAMED_NEW_NAME e\\moved'])
  const waiting = watch(entries)
  await settled()
  t.notOk(waiting.done, 'who watches the entries alone is not told')
  await make(bert, 'd\\e\\own')
  report({ kind: 'added', name: 'own', isDirectory: false })
  t.same(await next(folder, WATCH_TREE), ['ADDED e\\own'], 'what a client did comes once')
  for (const path of ['d/e', 'd']) sim.storage.reportLocal(path, { kind: 'incomplete' })
  t.equal(sim.complaints.splice(0).length, 1, 'that not all is watched is logged once')
  sim.storage.reportLocal('d', { kind: 'added', name: 'here', isDirectory: false })
  t.same(await entries, ['ADDED here'])
})
