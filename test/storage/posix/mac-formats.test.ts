/** What Samba, netatalk and macOS left on a disk is read as it is, and changed where it is; what is new goes where the share says. */

import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import koffi from 'koffi'
import t from 'tap'
import type { FileHandle } from '../../../storage/file-system.ts'
import { encodeAfpInfo } from '../../../storage/metadata/afp-info.ts'
import { encodeStream, xattrOfStream } from '../../../storage/metadata/dos-stream.ts'
import {
  encodeNetatalkMetadata,
  NETATALK_METADATA_XATTR,
  NETATALK_RESOURCE_XATTR,
} from '../../../storage/metadata/netatalk.ts'
import { decodeSidecar, encodeSidecar } from '../../../storage/metadata/sidecar.ts'
import { createWorkerPool } from '../../../storage/posix/worker-pool.ts'
import { listXattrs, readXattr, writeXattr, type XattrPlace } from '../../../storage/posix/xattr.ts'
import { type PosixLab, request, WITHOUT_ROOT, withLab } from './lab.ts'

const workers = createWorkerPool({ size: 2 })
t.teardown(() => workers.close())

const INFO = 'AFP_AfpInfo'
const FORK = 'AFP_Resource'
const BIRTH = 1_600_000_000_000_000_000n

function finder(text: string): Buffer {
  const bytes = Buffer.alloc(32)
  bytes.write(text, 'latin1')
  return bytes
}

/** A file that another program made, and its attributes. */
function onDisk(lab: PosixLab, name: string, xattrs: Record<string, Buffer> = {}): XattrPlace {
  writeFileSync(lab.disk(name), 'base')
  const fd = openSync(lab.disk(name), 'r+')
  const place: XattrPlace = { kind: 'descriptor', fd }
  for (const [xattr, value] of Object.entries(xattrs)) writeXattr(place, xattr, value)
  return place
}

/** A sidecar as macOS makes it, with the attributes com.apple.x = "hello" and foo:bar = "baz" and a resource fork. */
function macSidecar(typeAndCreator: string, fork: Buffer): Buffer {
  const bytes = Buffer.concat([encodeSidecar(finder(typeAndCreator)), Buffer.alloc(0x100 - 82), fork])
  bytes.writeUInt32BE(0x100 - 50, 26 + 8)
  bytes.writeUInt32BE(0x100, 38 + 4)
  bytes.writeUInt32BE(fork.length, 38 + 8)
  const block = '41545452 00000000 00000100 000000c0 00000040 000000000000000000000000 0000 0002'
  const first = `000000c0 00000005 0000 0c ${Buffer.from('com.apple.x\0').toString('hex')} 00`
  const second = `000000c8 00000003 0000 08 ${Buffer.from('foo:bar\0').toString('hex')}`
  Buffer.from((block + first + second).replaceAll(' ', ''), 'hex').copy(bytes, 84)
  bytes.write('hello', 0xc0)
  bytes.write('baz', 0xc8)
  return bytes
}

async function names(lab: PosixLab, path: string): Promise<readonly string[]> {
  return (await (await lab.handle(path)).streams()).map(({ name, size }) => `${name} ${size}`).sort()
}

async function finderText(lab: PosixLab, path: string): Promise<string> {
  return (await lab.text(await lab.handle(path, { stream: INFO }))).slice(16, 24)
}

async function writer(lab: PosixLab, path: string, stream: string): Promise<FileHandle> {
  return await lab.handle(path, { stream, disposition: 'open-if', write: true })
}

async function macOf(lab: PosixLab, name: string) {
  const cursor = await (await lab.handle('')).list({ pattern: name, hideUnreadable: false, details: true })
  const [entry] = await cursor.next(1)
  await cursor.close()
  const { resourceForkBytes = 0, finderInfo } = entry?.mac ?? {}
  return [resourceForkBytes, Buffer.from(finderInfo ?? []).toString('latin1', 0, 8)]
}

t.test("Samba's streams", (t) =>
  withLab(t, workers, {}, async (lab) => {
    const place = onDisk(lab, 'file', {
      [xattrOfStream('afp_AFPInfo')]: encodeStream(encodeAfpInfo(finder('TEXTttxt'))),
      [xattrOfStream(FORK)]: Buffer.concat([Buffer.from('one '), Buffer.of(2)]),
      [`user.DosStreamExt.1.${FORK}:$DATA`]: Buffer.from('two '),
      [`user.DosStreamExt.2.${FORK}:$DATA`]: Buffer.from('three'),
      // fruit:encoding = native
      [xattrOfStream('com.apple.metadata:tags')]: encodeStream(Buffer.from('red')),
    })
    const expected = [' 4', 'AFP_AfpInfo 60', 'AFP_Resource 13', 'com.apple.metadata\uf022tags 3']
    t.same(await names(lab, 'file'), expected)
    t.equal(await finderText(lab, 'file'), 'TEXTttxt')
    t.equal(await lab.text(await lab.handle('file', { stream: 'AFP_resource' })), 'one two three')
    const tags = await lab.handle('file', { stream: 'com.apple.metadata\uf022tags' })
    t.equal(await lab.text(tags), 'red')
    t.same(await macOf(lab, 'file'), [13, 'TEXTttxt'])
    await (await writer(lab, 'file', FORK)).write(Buffer.from('ONE'), 0)
    t.equal(await lab.text(await lab.handle('file', { stream: FORK })), 'ONE two three')
    t.same(
      listXattrs(place).filter((xattr) => xattr.startsWith('user.DosStreamExt')),
      [],
      'in one attribute, nothing left over',
    )
    await (await writer(lab, 'file', INFO)).write(encodeAfpInfo(finder('changed!')), 0)
    t.equal(readXattr(place, xattrOfStream('afp_AFPInfo'))?.toString('latin1', 16, 24), 'changed!')
    writeXattr(place, xattrOfStream('afp_AFPInfo'), Buffer.from('foo\0'))
    t.same((await names(lab, 'file')).length, 3, 'one that is none is not shown')
    await lab.refuses('file', { stream: INFO }, 'not-found')
  }),
)

t.test("netatalk's attributes", (t) =>
  withLab(t, workers, { macMetadata: 'netatalk', macResource: 'xattr' }, async (lab) => {
    const place = onDisk(lab, 'file', {
      [NETATALK_METADATA_XATTR]: encodeNetatalkMetadata({ finderInfo: finder('TEXTttxt'), birthTime: BIRTH }),
      [NETATALK_RESOURCE_XATTR]: Buffer.from('resources'),
    })
    t.same(await names(lab, 'file'), [' 4', 'AFP_AfpInfo 60', 'AFP_Resource 9'])
    t.equal(await finderText(lab, 'file'), 'TEXTttxt')
    t.same(await macOf(lab, 'file'), [9, 'TEXTttxt'])
    t.equal((await lab.open('file')).stat.birthTime, BIRTH, 'with its date')
    t.same(await (await lab.handle('file')).extendedAttributes(), [], 'and none of it is an EA')
    const info = await writer(lab, 'file', INFO)
    await info.write(encodeAfpInfo(finder('changed!')), 0)
    await (await writer(lab, 'file', FORK)).setSize(3)
    const stored = encodeNetatalkMetadata({ finderInfo: finder('changed!'), birthTime: BIRTH })
    t.same(readXattr(place, NETATALK_METADATA_XATTR), stored)
    t.same(readXattr(place, NETATALK_RESOURCE_XATTR), Buffer.from('res'))
    const commented = Buffer.from(stored)
    commented.write('a comment', 0x9a)
    writeXattr(place, NETATALK_METADATA_XATTR, commented)
    await info.remove()
    await lab.refuses('file', { stream: INFO }, 'not-found')
    t.equal(readXattr(place, NETATALK_METADATA_XATTR)?.toString('latin1', 0x9a, 0xa3), 'a comment')
    await (await writer(lab, 'file', FORK)).setSize(0)
    t.equal(readXattr(place, NETATALK_RESOURCE_XATTR), undefined)
    const made = onDisk(lab, 'new')
    await (await writer(lab, 'new', INFO)).write(encodeAfpInfo(finder('new')), 0)
    await (await writer(lab, 'new', FORK)).write(Buffer.from('fork'), 0)
    t.same([...listXattrs(made)].sort(), [NETATALK_METADATA_XATTR, NETATALK_RESOURCE_XATTR])
    await (await lab.handle('new', { stream: INFO })).remove()
    t.same(listXattrs(made), [NETATALK_RESOURCE_XATTR], 'nothing is kept that says nothing')
    const other = onDisk(lab, 'streams', { [xattrOfStream(FORK)]: encodeStream(Buffer.from('one')) })
    await (await writer(lab, 'streams', FORK)).write(Buffer.from('O'), 0)
    t.same(listXattrs(other), [xattrOfStream(FORK)], 'what is there stays in its format')
  }),
)

t.test('sidecars of macOS', (t) =>
  withLab(t, workers, {}, async (lab) => {
    onDisk(lab, 'file')
    writeFileSync(lab.disk('._file'), macSidecar('TEXTttxt', Buffer.from('fork')))
    writeFileSync(lab.disk('._orphan'), encodeSidecar())
    const plain = onDisk(lab, 'plain')
    writeFileSync(lab.disk('._plain'), 'no AppleDouble')
    t.same(await lab.names(''), ['._orphan', '._plain', 'file', 'plain'], 'hidden beside their file')
    t.same(await lab.names('', '*', {}), ['._orphan', '._plain', 'file', 'plain'])
    t.equal((await lab.open('._file')).stat.size, 0x104, 'but found by name')
    const all = [' 4', 'AFP_AfpInfo 60', 'AFP_Resource 4', 'com.apple.x 5', 'foo\uf022bar 3']
    t.same(await names(lab, 'file'), all)
    t.same(await names(lab, 'plain'), [' 4'])
    t.equal(await finderText(lab, 'file'), 'TEXTttxt')
    t.same(await macOf(lab, 'file'), [4, 'TEXTttxt'])
    t.equal(await lab.text(await lab.handle('file', { stream: 'foo\uf022bar' })), 'baz')
    await (await writer(lab, 'plain', 'tags\uf022\uf021')).write(Buffer.from('red'), 0)
    t.same(listXattrs(plain), [xattrOfStream('tags:\uf021')], 'stored as local programs and Samba know it')
    t.same(await names(lab, 'plain'), [' 4', 'tags\uf022\uf021 3'])
    const written = await lab.handle('file', { stream: 'COM.APPLE.X', write: true })
    await written.write(Buffer.from('HE'), 0)
    t.equal(await lab.text(written), 'HEllo')
    t.same(await names(lab, 'file'), all, 'who writes to one moves it out, and it is there once')
    await (await lab.handle('file', { stream: 'foo\uf022bar' })).remove()
    await lab.refuses('file', { stream: 'foo\uf022bar' }, 'not-found')
    const fork = await lab.handle('file', { stream: FORK, write: true })
    await fork.write(Buffer.from('longer than before'), 2)
    t.equal(await lab.text(fork), 'folonger than before', 'a fork is changed where it is')
    t.equal(readFileSync(lab.disk('._file')).toString('latin1', 0x100), 'folonger than before')
    await (await lab.handle('file')).rename({ to: 'moved', replace: false })
    t.equal(existsSync(lab.disk('._file')), false)
    t.equal(await lab.text(fork), 'folonger than before', 'it moves with its file')
    await (await lab.handle('moved', { stream: INFO })).remove()
    t.same(await names(lab, 'moved'), [' 4', 'AFP_Resource 20', 'com.apple.x 5'])
    await fork.setSize(0)
    t.equal(existsSync(lab.disk('._moved')), false, 'it goes when it says nothing more')
    t.same(await names(lab, 'moved'), [' 4', 'com.apple.x 5'])
  }),
)

t.test('sidecars go, stay and are replaced with their files', (t) =>
  withLab(t, workers, {}, async (lab) => {
    const sidecar = (name: string, text: string) =>
      writeFileSync(lab.disk(name), macSidecar(text, Buffer.from(text)))
    onDisk(lab, 'a')
    onDisk(lab, 'b')
    onDisk(lab, 'c')
    sidecar('._a', 'aaaa')
    sidecar('._b', 'bbbb')
    mkdirSync(lab.disk('d'))
    sidecar('._d', 'folder')
    t.equal(await finderText(lab, 'd'), 'folder\0\0')
    await (await lab.handle('a')).rename({ to: 'b', replace: true })
    t.equal(await finderText(lab, 'b'), 'aaaa\0\0\0\0')
    await (await lab.handle('c')).rename({ to: 'b', replace: true })
    t.same(await names(lab, 'b'), [' 4'], 'what was replaced leaves nothing')
    await (await lab.handle('b')).rename({ to: 'd/b', replace: false })
    await (await lab.handle('d/b')).remove()
    await (await lab.handle('d')).remove()
    t.same(readdirSync(lab.root), [])
    onDisk(lab, 'e')
    sidecar('._e', 'eeee')
    await (await lab.handle('e', { write: true })).overwrite(0)
    t.same(readdirSync(lab.root), ['e'], 'FILE_OVERWRITE removes streams, wherever they are')
  }),
)

t.test('new resource forks in sidecars', (t) =>
  withLab(t, workers, { macResource: 'file', hidesSidecars: false }, async (lab) => {
    onDisk(lab, 'file')
    const fork = await writer(lab, 'file', FORK)
    t.equal(existsSync(lab.disk('._file')), false, 'none before something is in it')
    const far = 5 << 20
    await fork.write(Buffer.from('end'), far)
    t.equal((await fork.stat()).size, far + 3)
    const end = Buffer.alloc(8)
    t.equal(await fork.read(end, far - 2), 5)
    t.equal(end.toString('latin1', 0, 5), '\0\0end')
    const bytes = readFileSync(lab.disk('._file'))
    t.equal(decodeSidecar(bytes, bytes.length)?.resourceFork?.length, far + 3)
    t.equal(statSync(lab.disk('._file')).mode & 0o777, statSync(lab.disk('file')).mode & 0o777)
    t.same(await lab.names(''), ['._file', 'file'], 'shown where the share shows them')
    await fork.setSize(1)
    t.equal(statSync(lab.disk('._file')).size, 83)
    await fork.setSize(0)
    t.equal(existsSync(lab.disk('._file')), false)
    onDisk(lab, 'taken')
    writeFileSync(lab.disk('._taken'), 'no AppleDouble')
    await lab.rejects((await writer(lab, 'taken', FORK)).write(Buffer.from('x'), 0), 'not-supported')
    t.equal(readFileSync(lab.disk('._taken'), 'latin1'), 'no AppleDouble')
  }),
)

t.test('resource forks of any size, whatever the share is set to', async (t) => {
  const large = Buffer.alloc(300_000, 'large fork ')
  for (const macResource of ['stream', 'xattr', 'file'] as const) {
    await withLab(t, workers, { macResource }, async (lab) => {
      onDisk(lab, 'file')
      const fork = await writer(lab, 'file', FORK)
      for (let at = 0; at < large.length; at += 40_000) {
        await fork.write(large.subarray(at, at + 40_000), at)
      }
      t.ok((await lab.text(fork)) === large.toString(), macResource)
      t.same(await macOf(lab, 'file'), [large.length, ''], 'what a listing says')
      t.same(await names(lab, 'file'), [' 4', `${FORK} ${large.length}`])
      t.same(await lab.names(''), ['file'])
      await (await lab.handle('file')).rename({ to: 'moved', replace: false })
      t.ok((await lab.text(await lab.handle('moved', { stream: FORK }))) === large.toString())
      await fork.setSize(70_000)
      t.equal((await fork.stat()).size, 70_000)
      await (await lab.handle('moved')).remove()
      t.same(readdirSync(lab.root), [], 'nothing stays behind')
    })
  }
})

/** A lock of one byte of netatalk's, as another program has it: of this process and not of a descriptor. */
function lockAsNetatalk(fd: number, mark: number): void {
  const F_SETLK = 6
  const flock = Buffer.alloc(32)
  flock.writeBigInt64LE(0x7fff_ffff_ffff_fff6n + BigInt(mark), 8)
  flock.writeBigInt64LE(1n, 16)
  const fcntl = koffi.load(null).func('int fcntl(int fd, int command, void* argument)')
  if (fcntl(fd, F_SETLK, flock) !== 0) throw new Error('the byte cannot be locked')
}

t.test('opens of netatalk count, and it is told of ours', (t) =>
  withLab(t, workers, {}, async (lab) => {
    const { fd } = onDisk(lab, 'file') as { fd: number }
    const [OPEN_WR, OPEN_RD, DENY_WR, DENY_RD] = [0, 1, 4, 5]
    const rows: [mark: number, access: 'read' | 'write', reading: boolean, writing: boolean, ok: boolean][] =
      [
        [OPEN_RD, 'read', false, true, true],
        [OPEN_RD, 'read', true, false, false],
        [OPEN_WR, 'read', true, false, true],
        [OPEN_WR, 'read', false, true, false],
        [DENY_RD, 'read', false, false, false],
        [DENY_RD, 'write', false, false, true],
        [DENY_WR, 'write', false, false, false],
        [DENY_WR, 'read', false, false, true],
      ]
    for (const [mark, access, reading, writing, ok] of rows) {
      lockAsNetatalk(fd, mark)
      const asked = { read: access === 'read', write: access === 'write', denies: { reading, writing } }
      const outcome = await lab.fs.open(request('file', asked))
      t.equal(
        outcome.ok ? 'ok' : outcome.error,
        ok ? 'ok' : 'busy',
        `${mark} ${access} ${reading} ${writing}`,
      )
      // Closing any descriptor of a file drops the process' locks of it.
      if (outcome.ok) await outcome.handle.close()
    }
    lockAsNetatalk(fd, DENY_RD)
    t.ok((await lab.fs.open(request('file'))).ok, 'attributes alone are not its affair')
    const held = await lab.fs.open(request('file', { read: true, denies: { reading: false, writing: true } }))
    t.equal(held.ok, false)
    const ours = await lab.open('file', { read: true, denies: { reading: false, writing: true } })
    const locks = readFileSync('/proc/locks', 'latin1').split('\n')
    const inode = ` ${statSync(lab.disk('file')).ino}`.slice(1)
    const told = locks.filter((line) => line.includes('OFDLCK') && line.includes(`:${inode} `))
    t.same(told.map((line) => BigInt(line.split(' ').at(-1) ?? 0) - 0x7fff_ffff_ffff_fff6n).sort(), [1n, 4n])
    t.ok(
      (await lab.open('file', { read: true, denies: { reading: true, writing: true } })).handle,
      'our own are known',
    )
    await ours.handle.close()
  }),
)

t.test('sidecars are opened as the account', { skip: WITHOUT_ROOT }, (t) =>
  withLab(t, workers, { macResource: 'file' }, async (lab) => {
    const nobody = { uid: 65_534, gid: 65_534, groups: [] }
    const { chmodSync, chownSync } = await import('node:fs')
    chmodSync(lab.root, 0o777)
    onDisk(lab, 'mine')
    chownSync(lab.disk('mine'), nobody.uid, nobody.gid)
    writeFileSync(lab.disk('._mine'), macSidecar('SECRET', Buffer.from('secret')), { mode: 0o600 })
    const mine = await lab.handle('mine', { identity: nobody })
    t.same(
      (await mine.streams()).map(({ name }) => name),
      [''],
      'what another put beside it is not read',
    )
    onDisk(lab, 'own')
    chownSync(lab.disk('own'), nobody.uid, nobody.gid)
    const fork = await lab.handle('own', {
      ...{ identity: nobody, stream: FORK, disposition: 'open-if', write: true },
    })
    await fork.write(Buffer.from('x'), 0)
    t.equal(statSync(lab.disk('._own')).uid, nobody.uid)
  }),
)
