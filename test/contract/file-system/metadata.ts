/** MS-FSA 2.1.5.11 and 2.1.5.14: times, attributes, modes, extended attributes, security descriptors, compression. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { DosAttribute } from '../../../storage/file-system.ts'
import type { Fixture, Lab } from './lab.ts'

/** 2020-09-13, with the finest fraction that SMB has: 100 ns. */
const TIME = 1_600_000_000_123_456_700n
const BEFORE_1970 = -100_000_000_000_000_100n

export async function metadataContract(t: Test, fixture: Fixture): Promise<void> {
  await t.test('metadata: times', (t) => fixture(t, times))
  await t.test('metadata: time of change', (t) => fixture(t, changeTime))
  await t.test('metadata: attributes and mode', (t) => fixture(t, attributes))
  await t.test('metadata: extended attributes', (t) => fixture(t, extendedAttributes))
  await t.test('metadata: security descriptor', (t) => fixture(t, securityDescriptor))
  await t.test('metadata: compression', (t) => fixture(t, compression))
}

async function times(lab: Lab): Promise<void> {
  const { t, fs } = lab
  const file = await lab.file('file', 'text')
  const begin = await file.stat()
  t.ok(begin.changeTime >= begin.birthTime && begin.writeTime >= begin.birthTime, 'times begin in order')
  const changes = { accessTime: TIME, writeTime: TIME + 100n }
  const stat = await file.change(changes)
  t.equal(stat.accessTime, TIME)
  t.equal(stat.writeTime, TIME + 100n)
  t.equal((await lab.open('file')).stat.writeTime, TIME + 100n, 'exact to 100 ns, also for the next open')
  const old = await file.change({ writeTime: BEFORE_1970 })
  t.equal(old.writeTime, BEFORE_1970, 'before 1970')
  t.equal(old.accessTime, TIME, 'what is absent stays')
  await file.write(Buffer.from('x'), 0)
  t.ok((await file.stat()).writeTime > TIME, 'writing moves the write time')
  const directory = await lab.directory('d')
  t.equal((await directory.change({ writeTime: TIME })).writeTime, TIME)
  await lab.file('d/x')
  t.ok((await directory.stat()).writeTime > TIME, 'a new entry moves the write time of its directory')
  if (!fs.features.extendedAttributes) return
  t.equal((await file.change({ birthTime: TIME - 100n })).birthTime, TIME - 100n)
  t.equal((await directory.change({ birthTime: TIME })).birthTime, TIME)
  await file.close()
  t.equal((await lab.open('file')).stat.birthTime, TIME - 100n)
}

async function changeTime(lab: Lab): Promise<void> {
  const { t, fs } = lab
  if (!fs.features.extendedAttributes) return
  const file = await lab.file('file', 'text')
  const directory = await lab.directory('d')
  for (const time of [TIME, BEFORE_1970, 15_032_385_535_000_000_000n]) {
    t.equal((await file.change({ changeTime: time })).changeTime, time)
    t.equal((await file.stat()).changeTime, time, 'until something changes')
  }
  t.equal((await directory.change({ changeTime: TIME, writeTime: TIME })).changeTime, TIME)
  t.equal((await lab.open('file')).stat.changeTime, 15_032_385_535_000_000_000n, 'for the next open too')
  t.same(await file.extendedAttributes(), [], 'where clients do not see how')
  t.equal((await file.stat()).eaSize, 0)
  // What happens within the same instant cannot be told apart.
  await sleep(100)
  await file.write(Buffer.from('x'), 0)
  const { changeTime, writeTime } = await file.stat()
  t.ok(changeTime > TIME && changeTime === writeTime, 'writing moves it')
  await file.change({ writeTime: TIME })
  t.ok((await file.stat()).changeTime > TIME)
}

async function attributes(lab: Lab): Promise<void> {
  const { t, fs } = lab
  const file = await lab.file('file', 'text')
  t.equal((await file.change({ mode: 0o600 })).mode, 0o600)
  t.equal((await lab.open('file')).stat.mode, 0o600)
  if (!fs.features.extendedAttributes) {
    await lab.fails(file.change({ dosAttributes: 2 }), 'not-supported', 'attributes without a place for them')
    return
  }
  const { readonly, hidden, system, archive, sparse } = DosAttribute
  const all = readonly | hidden | system | archive
  const before = await file.stat()
  const stat = await file.change({ dosAttributes: all })
  t.equal(stat.dosAttributes, all)
  t.equal(stat.birthTime, before.birthTime, 'the birth time stays')
  t.equal((await lab.open('file')).stat.dosAttributes, all)
  const entry = (await lab.list('')).find(({ name }) => name === 'file')
  t.equal(entry?.stat.dosAttributes, all, 'also in a listing')
  await file.change({ dosAttributes: sparse })
  await file.setSize(1024 * 1024)
  const flagged = await file.stat()
  t.equal(flagged.dosAttributes & sparse, sparse)
  if (fs.features.sparse) t.ok(flagged.allocated < 1024 * 1024, 'a sparse file counts what it has')
  t.equal((await file.change({ dosAttributes: 0 })).dosAttributes, 0)
}

/** One more than Linux and NTFS take. */
const LARGER_THAN_ANY_EA = 65_537

async function extendedAttributes(lab: Lab): Promise<void> {
  const { t, fs } = lab
  const file = await lab.file('file')
  const ea = (name: string, value: string) => ({ name, value: Buffer.from(value) })
  if (!fs.features.extendedAttributes) {
    await lab.fails(file.setExtendedAttributes([ea('a', 'b')]), 'not-supported', 'without a place for them')
    return
  }
  t.same(await file.extendedAttributes(), [])
  await file.setExtendedAttributes([ea('ONE', 'first'), ea('TWO', 'second')])
  const sorted = async () => [...(await file.extendedAttributes())].sort((a, b) => (a.name < b.name ? -1 : 1))
  t.same(await sorted(), [ea('ONE', 'first'), ea('TWO', 'second')])
  t.ok((await file.stat()).eaSize > 'ONEfirstTWOsecond'.length)
  await file.setExtendedAttributes([ea('one', 'changed'), ea('TWO', '')])
  t.same(await sorted(), [ea('ONE', 'changed')], 'found in another case; an empty value removes')
  await file.setExtendedAttributes([ea('ONE', ''), ea('MISSING', '')])
  t.same(await sorted(), [])
  t.equal((await file.stat()).eaSize, 0)
  await file.change({ dosAttributes: 2, birthTime: TIME })
  await file.setSecurityDescriptor(Buffer.from([1, 0, 4, 0x80]))
  t.same(await sorted(), [], "the server's own are not shown")
  const reserved = file.setExtendedAttributes([ea('DOSATTRIB', 'x')])
  await lab.fails(
    reserved,
    ['access-denied', 'invalid', 'not-permitted'],
    "nor can a client write the server's own",
  )
  const tooLarge = [{ name: 'LARGE', value: Buffer.alloc(LARGER_THAN_ANY_EA) }]
  await lab.fails(file.setExtendedAttributes(tooLarge), 'ea-too-large', 'too large')
  t.same(await sorted(), [])
  const directory = await lab.directory('d')
  await directory.setExtendedAttributes([ea('D', 'x')])
  t.same(await directory.extendedAttributes(), [ea('D', 'x')])
}

async function securityDescriptor(lab: Lab): Promise<void> {
  const { t, fs } = lab
  const file = await lab.file('file')
  t.equal(await file.securityDescriptor(), undefined)
  const descriptor = Buffer.from('0100048000000000000000000000000014000000', 'hex')
  if (!fs.features.extendedAttributes) {
    await lab.fails(file.setSecurityDescriptor(descriptor), 'not-supported', 'without a place for it')
    return
  }
  await file.setSecurityDescriptor(descriptor)
  t.same(await file.securityDescriptor(), descriptor)
  t.same(await (await lab.handle('file')).securityDescriptor(), descriptor)
  t.same(
    (await lab.open('file', { wantPermissions: true })).securityDescriptor,
    descriptor,
    'an open brings it',
  )
  t.equal((await lab.open('file')).securityDescriptor, undefined, 'when permissions are wanted')
  const directory = await lab.directory('d')
  await directory.setSecurityDescriptor(descriptor)
  await inheritance(lab, descriptor)
  t.same(await directory.securityDescriptor(), descriptor)
}

async function compression(lab: Lab): Promise<void> {
  const { t, fs } = lab
  const file = await lab.file('file')
  if (!fs.features.compression) {
    await lab.fails(file.setCompressed(true), 'not-supported', 'compression')
    return
  }
  t.equal(await file.compressed(), false)
  await file.setCompressed(true)
  t.equal(await file.compressed(), true)
  t.equal((await file.stat()).dosAttributes & DosAttribute.compressed, DosAttribute.compressed)
  await file.setCompressed(false)
  t.equal(await file.compressed(), false)
}

/** What is made in a directory with a descriptor is made by those who know it. */
async function inheritance(lab: Lab, above: Buffer): Promise<void> {
  const { t } = lab
  const own = Buffer.from([1, 0, 4, 0x80, 7])
  const create = { mode: 0o644, dosAttributes: 0 }
  const request = { disposition: 'open-if', read: false, wantPermissions: true } as const
  for (const heeded of [undefined, own]) {
    const outcome = await lab.fs.open({
      ...{
        ...request,
        path: 'd/new',
        identity: undefined,
        kind: 'any',
        followLinks: true,
        write: false,
      },
      create: { ...create, ...(heeded !== undefined && { heeded }) },
    })
    t.match(outcome, { ok: false, error: 'unheeded', parentDescriptor: above })
  }
  t.notOk(await lab.exists('d/new'), 'nothing was made')
  const heeding = { ...create, heeded: above, securityDescriptor: own }
  const made = await lab.open('d/new', { ...request, create: heeding })
  t.match(made, { created: true, fileCreated: true })
  t.equal(made.parentDescriptor, undefined)
  t.same(await made.handle.securityDescriptor(), own, 'stored from the beginning')
  const again = await lab.open('d/new', request)
  t.same(again.securityDescriptor, own)
  t.same(again.parentDescriptor, above)
  const stream = await lab.open('d/new', { ...request, stream: 's', write: true })
  t.match(stream, { created: true, fileCreated: false }, 'a stream of what is there inherits nothing')
  await lab.open('d/plain', { disposition: 'create' })
  const shown = await lab.list('d', { hideUnreadable: true })
  t.same(shown.find(({ name }) => name === 'new')?.securityDescriptor, own, 'listed where it decides')
  t.equal(shown.find(({ name }) => name === 'plain')?.securityDescriptor, undefined)
  t.ok((await lab.list('d')).every((entry) => entry.securityDescriptor === undefined))
  const fork = await lab.open('d/plain', { stream: 'AFP_Resource', disposition: 'create', write: true })
  await fork.handle.write(Buffer.alloc(5), 0)
  const detailed = await lab.list('d', { details: true })
  const detailsOf = (wanted: string) => detailed.find(({ name }) => name === wanted)
  t.match(detailsOf('plain'), { mac: { resourceForkBytes: 5 }, permissions: { read: true, remove: true } })
  t.same(detailsOf('new')?.securityDescriptor, own)
  t.ok(
    detailed.every(({ permissions }) => permissions !== undefined),
    'of the directory itself too',
  )
}
