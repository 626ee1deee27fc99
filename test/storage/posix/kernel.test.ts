/** What depends on kernel and file system: accounts, modes, times, sparse files, streams; on ext4, xfs, btrfs and one without attributes. */

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import t, { type Test } from 'tap'
import { DosAttribute, type FileHandle, type Identity } from '../../../storage/file-system.ts'
import { createPosixFileSystem } from '../../../storage/posix/file-system.ts'
import { createWorkerPool } from '../../../storage/posix/worker-pool.ts'
import { IS_ROOT, type PosixLab, request, temporaryDirectory, WITHOUT_ROOT, withLab } from './lab.ts'

const workers = createWorkerPool({ size: 2 })
t.teardown(() => workers.close())

const CREATE = { disposition: 'create', write: true } as const
const ALICE: Identity = { uid: 62_001, gid: 62_001, groups: [62_001, 62_100] }
const BOB: Identity = { uid: 62_002, gid: 62_002, groups: [62_002, 62_100] }
const CAROL: Identity = { uid: 62_003, gid: 62_003, groups: [] }
const SHARED_GROUP = 62_100
const KIB = 1024
const MIB = 1024 * KIB

/** What a program that runs as the account may do, asked of the kernel itself. */
function kernelAllows(identity: Identity, path: string): { read: boolean; write: boolean; execute: boolean } {
  const groups = identity.groups.length === 0 ? ['--clear-groups'] : ['--groups', identity.groups.join(',')]
  const ask = (flag: string) => {
    const ids = ['--reuid', String(identity.uid), '--regid', String(identity.gid), ...groups]
    try {
      execFileSync('setpriv', [...ids, 'test', flag, path])
      return true
    } catch {
      return false
    }
  }
  return { read: ask('-r'), write: ask('-w'), execute: ask('-x') }
}

t.test('accounts count as the kernel has it', { skip: WITHOUT_ROOT }, async (t) => {
  await withLab(t, workers, {}, async (lab) => {
    chmodSync(lab.root, 0o755)
    const files = [
      { name: 'private', uid: ALICE.uid, gid: ALICE.gid, mode: 0o600 },
      { name: 'group-read', uid: ALICE.uid, gid: SHARED_GROUP, mode: 0o640 },
      { name: 'group-write', uid: ALICE.uid, gid: SHARED_GROUP, mode: 0o660 },
      { name: 'program', uid: ALICE.uid, gid: SHARED_GROUP, mode: 0o751 },
      { name: 'public', uid: ALICE.uid, gid: ALICE.gid, mode: 0o644 },
      { name: 'write-only', uid: ALICE.uid, gid: ALICE.gid, mode: 0o622 },
      { name: 'not-even-mine', uid: ALICE.uid, gid: SHARED_GROUP, mode: 0o066 },
    ]
    for (const { name, uid, gid, mode } of files) {
      writeFileSync(lab.disk(name), 'text')
      chownSync(lab.disk(name), uid, gid)
      chmodSync(lab.disk(name), mode)
      for (const identity of [ALICE, BOB, CAROL]) {
        const expected = kernelAllows(identity, lab.disk(name))
        const extra = { identity, read: false, wantPermissions: true }
        const { permissions, handle } = await lab.open(name, extra)
        t.match(permissions, expected, `${name} for ${identity.uid}`)
        t.equal(permissions?.owner, identity === ALICE)
        t.equal(permissions?.remove, false, "the directory is root's")
        await handle.close()
        for (const access of [{ read: true }, { read: false, write: true }, { read: true, write: true }]) {
          const allowed = (!access.read || expected.read) && (!access.write || expected.write)
          const outcome = await lab.fs.open({ ...request(name), identity, ...access })
          t.equal(outcome.ok, allowed, `${name} for ${identity.uid}: ${JSON.stringify(access)}`)
          if (outcome.ok) await outcome.handle.close()
          else t.equal(outcome.error, 'access-denied')
        }
      }
    }
    await lab.refuses('new', { ...CREATE, identity: ALICE }, 'access-denied')
    chmodSync(lab.root, 0o1777)
    const made = await lab.open('new', {
      ...CREATE,
      identity: ALICE,
      create: { mode: 0o666, dosAttributes: 0x20 },
    })
    t.match(
      statSync(lab.disk('new')),
      { uid: ALICE.uid, gid: ALICE.gid, mode: 0o100_666 },
      'whatever the umask',
    )
    await made.handle.write(Buffer.from('text'), 0)
    const asBob = await lab.handle('new', { identity: BOB })
    await lab.rejects(asBob.remove(), 'access-denied', 'the sticky bit')
    await lab.rejects(asBob.change({ mode: 0o777 }), 'not-permitted')
    const later = 1_700_000_000_123_456_700n
    t.equal((await asBob.change({ writeTime: later })).writeTime, later, 'who may write may set times')
    t.equal((await asBob.change({ dosAttributes: 0x22 })).dosAttributes, 0x22, 'and attributes')
    t.equal(statSync(lab.disk('new')).uid, ALICE.uid)
    mkdirSync(lab.disk('closed'), 0o700)
    writeFileSync(lab.disk('closed/file'), '')
    await lab.refuses('closed/file', { identity: ALICE, read: false }, 'access-denied')
    await lab.refuses('closed/FILE', { identity: ALICE, read: false }, 'access-denied', 'nor in another case')
    chmodSync(lab.disk('closed'), 0o711)
    await lab.rejects(lab.names('closed', '*', { identity: ALICE, read: false }), 'access-denied')
    await (await lab.handle('closed/file', { identity: ALICE })).close()
    // After all this the threads must be the server again.
    await (await lab.handle('closed/file', { read: true, write: true })).close()
    t.equal(statSync(lab.disk('closed')).uid, 0)
  })
})

t.test('forced owners, inherited groups, hidden entries', { skip: WITHOUT_ROOT }, async (t) => {
  await withLab(t, workers, {}, async (lab) => {
    chmodSync(lab.root, 0o777)
    const owner = { uid: BOB.uid, gid: SHARED_GROUP }
    const create = { mode: 0o604, dosAttributes: 0, owner }
    await (await lab.handle('forced', { ...CREATE, identity: ALICE, create })).close()
    t.match(statSync(lab.disk('forced')), { uid: BOB.uid, gid: SHARED_GROUP, mode: 0o100_604 })
    mkdirSync(lab.disk('team'))
    chownSync(lab.disk('team'), 0, SHARED_GROUP)
    chmodSync(lab.disk('team'), 0o2777)
    const directory = {
      ...CREATE,
      write: false,
      kind: 'directory',
      create: { mode: 0o770, dosAttributes: 0 },
    } as const
    await (await lab.handle('team/sub', { ...directory, identity: ALICE })).close()
    t.match(
      statSync(lab.disk('team/sub')),
      { gid: SHARED_GROUP, mode: 0o42_770 },
      'set-group-id is inherited',
    )
    const hidden = await lab.handle('', { identity: CAROL })
    const cursor = await hidden.list({ pattern: '*', hideUnreadable: true })
    const names = (await cursor.next(100)).map((entry) => entry.name)
    t.same(names.sort(), ['.', '..', 'forced', 'team'])
    chmodSync(lab.disk('forced'), 0o600)
    const again = await hidden.list({ pattern: '*', hideUnreadable: true })
    t.same((await again.next(100)).map((entry) => entry.name).sort(), ['.', '..', 'team'])
    symlinkSync('forced', lab.disk('link'))
    const linked = await lab.handle('link', { identity: ALICE, read: false })
    await linked.remove()
    t.same(readdirSync(lab.root).sort(), ['forced', 'team'], "the link goes, not another's file")
  })
})

/** What every file system with extended attributes must do. */
async function behaves(lab: PosixLab): Promise<void> {
  const { t } = lab
  const file = await lab.file('file', 'text', {
    create: { mode: 0o600, dosAttributes: DosAttribute.archive },
  })
  t.equal((await file.stat()).dosAttributes, DosAttribute.archive)
  t.equal(statSync(lab.disk('file')).mode & 0o7777, 0o600)
  await times(lab, file)
  await space(lab)
  await sparse(lab)
  await streams(lab)
  await copies(lab)
}

async function times(lab: PosixLab, file: FileHandle): Promise<void> {
  const { t } = lab
  for (const time of [1_700_000_000_123_456_700n, 1n * 100n, -1_000_000_100n, 0n]) {
    const stat = await file.change({ accessTime: time, writeTime: time + 100n, birthTime: time })
    t.same([stat.accessTime, stat.writeTime, stat.birthTime], [time, time + 100n, time], `${time}`)
    const { atimeNs, mtimeNs } = statSync(lab.disk('file'), { bigint: true })
    t.same([atimeNs, mtimeNs], [time, time + 100n], 'as the kernel has it')
  }
  const value = execFileSync('python3', ['-c', READ_XATTR, lab.disk('file'), 'user.DOSATTRIB'])
  t.equal(value.toString('hex', 0, 16), '00000500050000001100000020000000', "in Samba's format")
}

const READ_XATTR = 'import os, sys; sys.stdout.buffer.write(os.getxattr(sys.argv[1], sys.argv[2]))'

async function space(lab: PosixLab): Promise<void> {
  const { t } = lab
  const file = await lab.handle('space', CREATE)
  t.equal((await file.stat()).allocated, 0, 'nothing for a new file')
  await file.write(Buffer.alloc(5 * KIB, 'x'), 0)
  t.ok((await file.stat()).allocated >= 8 * KIB, 'rounded up, also before it is on the disk')
  await file.setAllocation(3 * MIB)
  const reserved = await file.stat()
  t.ok(reserved.allocated >= 3 * MIB && reserved.size === 5 * KIB, 'reserved behind the end of file')
  await file.setAllocation(KIB)
  t.equal((await file.stat()).size, KIB, 'cut')
  const { total, free, available } = await lab.fs.space()
  t.ok(total >= free && free >= available && available > 0)
  truncateSync(lab.disk('space'), 64 * MIB)
  t.ok((await file.stat()).allocated >= 64 * MIB, 'a file not flagged sparse occupies all of its size')
  const flagged = await file.change({ dosAttributes: DosAttribute.sparse })
  t.ok(flagged.allocated < 8 * MIB, 'one that is what it has')
}

async function sparse(lab: PosixLab): Promise<void> {
  const { t } = lab
  const file = await lab.handle('sparse', CREATE)
  await file.setSize(8 * MIB)
  await file.write(Buffer.alloc(MIB, 'a'), 2 * MIB)
  await file.write(Buffer.alloc(MIB, 'b'), 6 * MIB)
  await file.flush()
  const all = { offset: 0, length: 16 * MIB }
  const data = [
    { offset: 2 * MIB, length: MIB },
    { offset: 6 * MIB, length: MIB },
  ]
  t.same(await file.allocatedRanges(all, 10), data)
  t.same(await file.allocatedRanges(all, 1), data.slice(0, 1))
  await file.zeroRange({ offset: 6 * MIB, length: 4 * MIB })
  t.same(await file.allocatedRanges(all, 10), data.slice(0, 1))
  t.equal((await file.stat()).size, 8 * MIB)
  t.equal(statSync(lab.disk('sparse')).blocks * 512, MIB, 'the blocks went back')
}

async function streams(lab: PosixLab): Promise<void> {
  const { t } = lab
  const limit = lab.fs.features.maximumStreamBytes
  const stream = await lab.file('streams', '', { ...CREATE, stream: 'Data' })
  const bytes = Buffer.alloc(limit, 's')
  await stream.write(bytes, 0)
  t.equal((await stream.stat()).size, limit, `a stream of ${limit} bytes`)
  await lab.rejects(stream.write(Buffer.from('x'), limit), 'stream-too-large')
  await lab.rejects(stream.setSize(limit + 1), 'stream-too-large')
  const back = Buffer.alloc(limit + 10)
  t.equal(await stream.read(back, 0), limit)
  t.ok(back.subarray(0, limit).equals(bytes))
  const value = execFileSync('python3', ['-c', READ_XATTR, lab.disk('streams'), 'user.DosStream.Data:$DATA'])
  t.equal(value.length, limit + 1, 'one byte more, as other servers have it')
  // Together they must not do more than the inode can.
  const outcome = await lab.fs.open({
    ...request('streams'),
    disposition: 'create',
    write: true,
    stream: 'More',
  })
  if (outcome.ok) {
    await outcome.handle.write(bytes, 0).catch((error) => t.equal(error.code, 'stream-too-large'))
    await outcome.handle.close()
  } else {
    t.equal(outcome.error, 'stream-too-large')
  }
}

async function copies(lab: PosixLab): Promise<void> {
  const { t, fs } = lab
  const source = await lab.handle('source', CREATE)
  const content = Buffer.alloc(3 * MIB)
  for (let at = 0; at < content.length; at += 4) content.writeUInt32LE(at, at)
  await source.write(content, 0)
  await source.flush()
  const target = await lab.handle('target', CREATE)
  t.equal(await target.copyFrom(source, { offset: 0, length: 5 * MIB }, 0), 3 * MIB, 'fewer at the end')
  t.ok(readFileSync(lab.disk('target')).equals(content))
  t.equal(await target.copyFrom(target, { offset: 0, length: 2 * MIB }, MIB / 2), 2 * MIB, 'onto itself')
  t.ok(
    readFileSync(lab.disk('target'))
      .subarray(MIB / 2, 2.5 * MIB)
      .equals(content.subarray(0, 2 * MIB)),
  )
  const clone = await lab.handle('clone', CREATE)
  const sharing = clone.cloneFrom(source, { offset: 0, length: MIB }, 0)
  if (fs.features.clone) {
    await sharing
    t.ok(readFileSync(lab.disk('clone')).equals(content.subarray(0, MIB)), 'blocks are shared')
  } else {
    await lab.rejects(sharing, 'not-supported')
  }
  if (fs.features.compression) {
    t.equal(await clone.compressed(), false)
    const fresh = await lab.handle('compressed', CREATE)
    await fresh.setCompressed(true)
    t.equal(await fresh.compressed(), true)
    t.equal((await fresh.stat()).dosAttributes & DosAttribute.compressed, DosAttribute.compressed)
  } else {
    await lab.rejects(clone.setCompressed(true), 'not-supported')
  }
}

t.test('the file system of temporary files', async (t) => {
  await withLab(t, workers, {}, async (lab) => {
    if (lab.fs.features.extendedAttributes) await behaves(lab)
    else t.plan(0, 'without extended attributes')
  })
})

/** Mounts a file system for the length of a test; says why when that cannot be done. */
async function mounted(
  t: Test,
  args: (directory: string) => readonly string[][],
): Promise<string | undefined> {
  if (!IS_ROOT) {
    t.plan(0, 'needs root')
    return undefined
  }
  const directory = await temporaryDirectory(t)
  const path = `${directory}/mount`
  mkdirSync(path)
  t.teardown(() => {
    try {
      execFileSync('umount', [path], { stdio: 'ignore' })
    } catch {
      // It was not mounted.
    }
  })
  try {
    for (const [command = '', ...rest] of args(directory)) execFileSync(command, rest, { stdio: 'pipe' })
    return path
  } catch (error) {
    t.plan(0, `cannot be made here: ${error instanceof Error ? error.message.split('\n')[0] : error}`)
    return undefined
  }
}

const IMAGE_BYTES = '400M'
const IMAGES = [
  { type: 'ext4', options: ['-q', '-I', '256'] },
  { type: 'xfs', options: ['-q'], features: { clone: true, maximumStreamBytes: 65_535 } },
  { type: 'btrfs', options: ['-q'], features: { clone: true, compression: true } },
]

for (const { type, options, features } of IMAGES) {
  t.test(`${type} in an image`, async (t) => {
    const root = await mounted(t, (directory) => [
      ['truncate', '-s', IMAGE_BYTES, `${directory}/image`],
      [`mkfs.${type}`, ...options, `${directory}/image`],
      ['mount', '-o', 'loop', `${directory}/image`, `${directory}/mount`],
    ])
    if (root === undefined) return
    await withLab(t, workers, { root }, async (lab) => {
      t.match(lab.fs.features, { extendedAttributes: true, sparse: true, symbolicLinks: true, ...features })
      await behaves(lab)
      const full = lab.handle('full', CREATE).then((file) => file.setAllocation(10 * 1024 * MIB))
      await lab.rejects(full, 'disk-full')
    })
  })
}

t.test('ids stay the same over a restart and differ between mounts', async (t) => {
  const root = await mounted(t, (directory) => [
    ['mkdir', `${directory}/mount/below`],
    ['mount', '-t', 'tmpfs', 'tmpfs', `${directory}/mount/below`],
  ])
  if (root === undefined) return
  t.teardown(() => execFileSync('umount', [`${root}/below`]))
  writeFileSync(`${root}/file`, '')
  const ids = async () => {
    const fs = await createPosixFileSystem({ root, workers })
    const outcomes = [
      await fs.open(request('file')),
      await fs.open(request('')),
      await fs.open(request('below')),
    ]
    await fs.close()
    return [fs.volumeId, ...outcomes.map((outcome) => (outcome.ok ? outcome.stat.fileId : outcome.error))]
  }
  const first = await ids()
  t.same(await ids(), first)
  t.equal(new Set(first).size, first.length)
  t.equal(first[1], statSync(`${root}/file`, { bigint: true }).ino)
  t.not(first[3], statSync(`${root}/below`, { bigint: true }).ino, 'another device is mixed in')
})

t.test('a file system without extended attributes', async (t) => {
  const root = await mounted(t, (directory) => [['mount', '-t', 'ramfs', 'ramfs', `${directory}/mount`]])
  if (root === undefined) return
  await withLab(t, workers, { root }, async (lab) => {
    t.match(lab.fs.features, { extendedAttributes: false, maximumStreamBytes: 0 })
    const file = await lab.file('file', 'text', {
      create: { mode: 0o640, dosAttributes: DosAttribute.archive },
    })
    t.equal(await lab.text(file), 'text')
    t.equal((await file.stat()).dosAttributes, 0, 'nothing is claimed that is not kept')
    t.equal((await file.change({ writeTime: 1_000_000_000n, mode: 0o600 })).writeTime, 1_000_000_000n)
    t.equal((await file.change({ dosAttributes: 0 })).dosAttributes, 0, 'what is so already')
    t.equal((await file.overwrite(DosAttribute.archive)).size, 0)
    await lab.rejects(file.change({ dosAttributes: DosAttribute.hidden }), 'not-supported')
    await lab.rejects(file.change({ birthTime: 0n }), 'not-supported')
    await lab.refuses('file', { stream: 'x', disposition: 'open-if', write: true }, 'not-supported')
    await lab.rejects(file.setExtendedAttributes([{ name: 'x', value: Buffer.from('y') }]), 'not-supported')
    await lab.rejects(file.setSecurityDescriptor(Buffer.from('x')), 'not-supported')
    t.equal(await file.securityDescriptor(), undefined)
    t.same(
      (await file.streams()).map((stream) => stream.name),
      [''],
    )
    t.equal(await file.rename({ to: 'FILE', replace: false }), 'FILE')
    t.same(await lab.names(''), ['FILE'])
    await file.zeroRange({ offset: 0, length: 10 })
    await file.remove()
    t.same(readdirSync(root), [])
  })
})
