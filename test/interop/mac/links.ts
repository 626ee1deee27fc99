/** macos.md 6 and 8: links that are cut, Macs that come back, and a second Mac at the same bundle. */

import { randomBytes } from 'node:crypto'
import { chmod, readFile, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from '../report.ts'
import { delay } from '../server-process.ts'
import { LinkLost, type MacClient, type MacHandle } from './client.ts'
import * as requests from './requests.ts'
import { Disposition } from './requests.ts'
import { refused, type Scene, Status, same } from './scene.ts'

const QUANTUM_BYTES = 1 << 20
const IN_FLIGHT = 8
const OPEN_HANDLES = 15
const EXCLUSIVE_LOCK = 2
const UNLOCK = 4
const SHORT_TIMEOUT = 1_000
/** After so long the handles of SHORT_TIMEOUT are gone. */
const PAST_SHORT_TIMEOUT = 2_500

/** Sent in each round, with other bytes, so that a write of an earlier round would be seen. */
function quanta(round: number): Buffer[] {
  return Array.from({ length: IN_FLIGHT }, (_, index) =>
    Buffer.alloc(QUANTUM_BYTES, 1 + index + IN_FLIGHT * round),
  )
}

/**
 * The windows of the Mac (30 seconds for Time Machine, requests in flight that are not idempotent) are its own affair.
 * 7's 16 minutes are held by test/protocols/smb2 under a clock moved by hand.
 */
export async function links(scene: Scene): Promise<void> {
  await cuts(scene)
  await comebacks(scene)
  await expiry(scene)
}

async function cuts(scene: Scene): Promise<void> {
  const { report } = scene
  let client = await scene.mount()
  const handles: MacHandle[] = []
  for (let index = 0; index < OPEN_HANDLES; index++)
    handles.push(await client.create(`open-${index}`, Disposition.CREATE))
  const [band] = handles
  if (band === undefined) return
  for (const round of [0, 1, 2]) {
    await report.check(
      `8: cut amid ${IN_FLIGHT} WRITEs, back with all ${OPEN_HANDLES} handles (${round + 1})`,
      async () => {
        const sent = quanta(round)
        const { lost } = await writeAndCut(client, band, sent, round)
        client = await client.reconnect()
        expect(lost || round > 0, 'no WRITE was lost by a cut at once')
        // What was in flight is sent again.
        await Promise.all(sent.map((data, index) => client.write(band, index * QUANTUM_BYTES, data)))
        await client.fullSync(band)
        const content = await readFile(join(scene.path, 'open-0'))
        expect(content.equals(Buffer.concat(sent)), 'the file is not what was written last')
      },
    )
  }
  await report.check(
    '8: what is on the disk of a file may change meanwhile: times, mode, blocks',
    async () => {
      client.cut()
      await utimes(join(scene.path, 'open-1'), 1, 1)
      await chmod(join(scene.path, 'open-1'), 0o666)
      client = await client.reconnect()
    },
  )
  await report.check('8: with PreviousSessionId beside a link that is not known to be dead', async () => {
    const before = client
    client = await client.reconnect()
    await client.write(band, 0, Buffer.from('new'))
    before.cut()
    same((await client.read(band, 0, 3)).toString(), 'new', 'the file')
  })
  await report.check('8: a byte-range lock and a rename before the cut are kept', async () => {
    await client.request('the LOCK', requests.lock(band.fileId, EXCLUSIVE_LOCK))
    await client.rename('open-0', 'renamed')
    client.cut()
    client = await client.reconnect()
    await client.request('the unlock', requests.lock(band.fileId, UNLOCK))
    await client.write(band, 0, Buffer.from('still'))
  })
  await report.check('8: a handle that is no longer there fails the reconnect', async () => {
    const [, gone] = handles
    if (gone === undefined) return
    await client.request('the CLOSE behind its back', requests.close(gone.fileId))
    client.cut()
    await refused(Status.OBJECT_NAME_NOT_FOUND, 'the reconnect', client.reconnect())
    client.handles.delete(gone)
  })
}

/** @returns whether an answer was lost */
async function writeAndCut(
  client: MacClient,
  file: MacHandle,
  sent: readonly Buffer[],
  round: number,
): Promise<{ lost: boolean }> {
  const written = sent.map((data, index) => client.write(file, index * QUANTUM_BYTES, data))
  // At once; in the middle; after the first answer.
  if (round === 0) client.cut()
  else if (round === 1) setImmediate(() => client.cut())
  else written[0]?.finally(() => client.cut()).catch(() => undefined)
  const results = await Promise.allSettled(written)
  for (const result of results) {
    if (result.status === 'rejected' && !(result.reason instanceof LinkLost)) throw result.reason
  }
  return { lost: results.some((result) => result.status === 'rejected') }
}

/** Each mount of a Mac has a new ClientGuid: the server knows it by its user and its absence alone. */
async function comebacks(scene: Scene): Promise<void> {
  const { report } = scene
  await report.check(
    '7 lock file: a Mac that comes back as new breaks its own orphaned opens at once',
    async () => {
      const first = await scene.mount()
      const lock = await first.create('lock', Disposition.CREATE, { share: 0 })
      const list = await first.create('Info.plist', Disposition.CREATE, { share: requests.Share.READ })
      await first.request('the LOCK', requests.lock(lock.fileId, EXCLUSIVE_LOCK))
      await first.write(list, 0, Buffer.from('list'))
      first.cut()
      const second = await scene.mount()
      const again = await second.open('lock', { share: 0 })
      await second.write(again, 0, Buffer.from('mine'))
      same((await second.read(await second.open('Info.plist'), 0, 4)).toString(), 'list', 'Info.plist')
      await second.disconnect()
    },
  )
  await report.check(
    '6, 7 lock file: another Mac is told that a bundle is in use, and not refused after',
    async () => {
      const first = await scene.mount()
      const lock = await first.create('lock', Disposition.OPEN, { share: 0 })
      const other = await scene.mount()
      await refused(Status.SHARING_VIOLATION, 'the open', other.open('lock', { share: 0 }))
      await first.write(lock, 0, Buffer.from('live'))
      await first.close(lock)
      await other.close(await other.open('lock', { share: 0 }))
      await other.disconnect()
      await first.disconnect()
    },
  )
  await report.check(
    '6: a deferred close gives way: a lease break with MessageId -1 and TreeId 0',
    async () => {
      const first = await scene.mount()
      const deferred = await first.create('deferred', Disposition.CREATE)
      first.connection.onBreak = () => {
        first.close(deferred).catch(() => undefined)
      }
      const other = await scene.mount()
      const opened = await other.open('deferred', { share: 0 })
      same(first.connection.breaks.length, 1, 'the number of breaks')
      same(first.connection.violation, undefined, 'what the Mac ends the link for')
      await other.close(opened)
      await other.remove('deferred')
      await other.disconnect()
      await first.disconnect()
    },
  )
}

async function expiry(scene: Scene): Promise<void> {
  const { report } = scene
  await report.check(
    '7.3, 8: after the granted Timeout handles are gone, all at once, and a new mount works',
    async () => {
      const client = await scene.mount({ durableTimeout: SHORT_TIMEOUT })
      const handle = await client.create('asleep', Disposition.CREATE, { share: 0 })
      await client.write(handle, 0, Buffer.from('kept'))
      client.cut()
      await delay(PAST_SHORT_TIMEOUT, undefined)
      await refused(Status.OBJECT_NAME_NOT_FOUND, 'the reconnect', client.reconnect())
      const woken = await scene.mount()
      const again = await woken.open('asleep', { share: 0 })
      same((await woken.read(again, 0, 4)).toString(), 'kept', 'the file')
      await woken.disconnect()
    },
  )
  await report.check(
    '8, 10: a request of a session that is gone ends with USER_SESSION_DELETED',
    async () => {
      const before = await scene.mount()
      const after = await before.reconnect()
      const { status } = await before.connection.request(requests.flush(randomBytes(16)))
      same(status, Status.USER_SESSION_DELETED, 'the status')
      before.cut()
      await after.disconnect()
    },
  )
}
