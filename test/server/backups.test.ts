/** What Time Machine's files in a bundle say: property lists, facts, and news when a history grows. */

import t from 'tap'
import { readBundle } from '../../server/backups/bundle.ts'
import { BackupMonitor } from '../../server/backups/monitor.ts'
import { readPlist } from '../../server/backups/plist.ts'
import type { PlistValue } from '../../server/backups/plist-value.ts'
import { Events } from '../../server/events.ts'
import { createMemoryFileSystem } from '../../storage/memory/file-system.ts'
import { type Bundle, binaryPlist, historyXml, makeBundle, xml } from './backup-files.ts'

const DAY = 86_400_000
const NOON = Date.UTC(2026, 10, 1, 12)

const plain = (value: PlistValue): unknown => {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, inner]) => [key, plain(inner)]))
  return Array.isArray(value) ? value.map(plain) : value
}

t.test('property lists', async (t) => {
  const body =
    '<dict><key>a &amp; b</key><string>\u00fc</string><key>n</key><integer>-12</integer><key>big</key>' +
    '<integer>18446744073709551615</integer><key>r</key><real>1.5</real><key>d</key><date>2026-11-01T12:00:00Z</date>' +
    '<key>x</key><data>aGk=</data><key>l</key><array><true/><false/></array></dict>'
  const expected = {
    'a & b': '\u00fc',
    n: -12n,
    big: 2n ** 64n - 1n,
    r: 1.5,
    d: new Date(NOON),
    x: Buffer.from('hi'),
    l: [true, false],
  }
  t.same(plain(readPlist(xml(body))), expected)
  const { big, ...small } = expected
  t.same(plain(readPlist(binaryPlist({ ...small, long: 'x'.repeat(300) }))), {
    ...small,
    long: 'x'.repeat(300),
  })
  for (const bad of [
    '',
    '<dict><key>a</key></dict>',
    '<null/>',
    '<date>2026</date>',
    '<integer>1.5</integer>',
    '<string/><string/>',
  ])
    t.throws(() => readPlist(xml(bad)), { name: 'PlistError' }, bad)
  const bomb = '<!DOCTYPE plist [<!ENTITY a "aaaa">]><plist version="1.0"><string>&a;</string></plist>'
  t.throws(() => readPlist(Buffer.from(bomb)), { name: 'PlistError' }, 'no entities of its own')
  t.throws(
    () => readPlist(xml('<array>'.repeat(50) + '</array>'.repeat(50))),
    { name: 'PlistError' },
    'depth',
  )
  t.throws(
    () => readPlist(xml(`<array>${'<true/>'.repeat(70_000)}</array>`)),
    { name: 'PlistError' },
    'values',
  )
  // Whatever is broken, it is refused and never a crash or an endless walk.
  const good = binaryPlist({ list: ['a', { b: 1n }], date: new Date(NOON) })
  for (let at = 0; at < good.length; at++) {
    for (const byte of [0x00, 0xff, 0xaf, 0xd1, (good[at] ?? 0) ^ 1]) {
      const broken = Buffer.from(good)
      broken[at] = byte
      try {
        readPlist(broken)
      } catch (error) {
        if ((error as Error).name !== 'PlistError') t.fail(`byte ${at} = ${byte}: ${error}`)
      }
    }
    t.throws(() => readPlist(good.subarray(0, at)), { name: 'PlistError' })
  }
  const loop = Buffer.from('bplist00\xa1\0\x08'.padEnd(11, '\0'), 'latin1')
  const trailer = Buffer.alloc(32)
  trailer.set([1, 1], 6)
  trailer[15] = 1
  trailer[31] = 10
  t.throws(() => readPlist(Buffer.concat([loop, trailer])), /too many values/, 'an array that holds itself')
})

t.test('what a bundle says', async (t) => {
  const fs = createMemoryFileSystem()
  const bundle: Bundle = {
    'com.apple.TimeMachine.SnapshotHistory.plist': historyXml([NOON - DAY, NOON - 3 * DAY, NOON + 400 * DAY]),
    'com.apple.TimeMachine.Results.plist': binaryPlist({ BytesUsed: 5n << 30n, Running: true }),
    'com.apple.TimeMachine.MachineID.plist': xml(
      '<dict><key>VerificationState</key><integer>1</integer><key>com.apple.backupd.ModelID</key><string>Mac14,2</string></dict>',
    ),
    'Info.plist': xml('<dict><key>size</key><integer>17592186044416</integer></dict>'),
  }
  await makeBundle(fs, "Anna's Mac.sparsebundle", bundle)
  t.match(await readBundle(fs, "Anna's Mac.sparsebundle", NOON), {
    mac: "Anna's Mac",
    model: 'Mac14,2',
    completed: NOON - DAY,
    bytesCopied: 4096,
    bytesUsed: 5 * 2 ** 30,
    imageBytes: 2 ** 44,
    verificationFailed: false,
    unreadable: [],
  })
  const state = (value: number) => xml(`<dict><key>VerificationState</key><integer>${value}</integer></dict>`)
  await makeBundle(fs, 'damaged.backupbundle', {
    'com.apple.TimeMachine.MachineID.plist': state(2),
    'com.apple.TimeMachine.SnapshotHistory.plist': Buffer.from('garbage'),
    'Info.plist': Buffer.alloc((2 << 20) + 1),
  })
  t.match(await readBundle(fs, 'damaged.backupbundle', NOON), {
    verificationFailed: true,
    completed: undefined,
    imageBytes: undefined,
    unreadable: ['com.apple.TimeMachine.SnapshotHistory.plist', 'Info.plist'],
  })
})

t.test('a completed backup is told once, when the history has grown', async (t) => {
  let now = NOON
  const fs = createMemoryFileSystem({ now: () => BigInt(now) * 1_000_000n })
  const history = (times: number[]): Bundle => ({
    'com.apple.TimeMachine.SnapshotHistory.plist': historyXml(times),
  })
  await makeBundle(fs, 'Old.sparsebundle', history([NOON - 9 * DAY]))
  const events = new Events((error) => t.fail(String(error)))
  const told: string[] = []
  const logged: string[] = []
  const stop = events.on('backup completed', ({ mac, completed }) => told.push(`${mac} ${completed - NOON}`))
  let inUse = false
  let uses = 0
  const writtenBundles = new Set<string>()
  const monitor = new BackupMonitor({
    environment: { now: () => now, after: () => () => undefined },
    events,
    activity: () => ({ inUse, uses, writtenBundles }),
    log: (_level, message) => logged.push(message),
  })
  const share = { name: 'backup', fileSystem: fs, kinds: ['Time Machine' as const], staleAfterDays: 7 }
  monitor.follow([share])
  await monitor.look()
  t.match(monitor.statuses(), [
    { mac: 'Old', stale: true, running: false, secondsSinceCompleted: 9 * 86_400 },
  ])
  now += 60_000
  await makeBundle(fs, 'Old.sparsebundle', history([NOON - DAY]))
  await monitor.look()
  t.same(told, [], 'nobody uses the share: it is left alone')
  inUse = true
  writtenBundles.add('old.sparsebundle')
  await monitor.look()
  await monitor.look()
  t.same(told, [`Old ${-DAY}`])
  t.match(monitor.statuses(), [{ stale: false, running: true }])
  now += 121_000
  await makeBundle(fs, 'Old.sparsebundle', {
    'com.apple.TimeMachine.SnapshotHistory.plist': Buffer.from('<'),
  })
  await makeBundle(fs, 'New.sparsebundle', {})
  writtenBundles.clear()
  await monitor.look()
  t.match(monitor.statuses(), [
    { mac: 'Old', running: false, unreadable: [/History/] },
    { mac: 'New', lastCompleted: undefined },
  ])
  now += 30_000
  await makeBundle(fs, 'Old.sparsebundle', history([NOON - DAY]))
  await makeBundle(fs, 'New.sparsebundle', history([NOON + 1000]))
  inUse = false
  await monitor.look()
  t.same(told.slice(1), ['New 1000'], 'the last look after the share was in use; what was known is no news')
  now += 1000
  await makeBundle(fs, 'New.sparsebundle', history([NOON + 2000]))
  await monitor.look()
  t.equal(told.length, 2)
  uses += 1
  await monitor.look()
  t.same(told.slice(2), ['New 2000'], 'a client that came and went between two looks is noticed')
  stop()
  now += 3_600_000
  await makeBundle(fs, 'New.sparsebundle', history([NOON + 3000]))
  await monitor.look()
  t.equal(told.length, 3)
  t.same(logged, Array(4).fill('backup completed'))
  monitor.follow([])
  t.same(monitor.statuses(), [])
  await monitor.close()
})

t.test('backups of Windows are completed when nobody writes any longer', async (t) => {
  let now = NOON
  const fs = createMemoryFileSystem({ now: () => BigInt(now) * 1_000_000n })
  const events = new Events((error) => t.fail(String(error)))
  const told: string[] = []
  events.on('backup completed', ({ mac, bundle, completed }) =>
    told.push(`${mac} ${bundle} ${completed - NOON}`),
  )
  const writtenBundles = new Set<string>()
  const monitor = new BackupMonitor({
    environment: { now: () => now, after: () => () => undefined },
    events,
    activity: () => ({ inUse: true, uses: 1, writtenBundles }),
    log: () => undefined,
  })
  const folder = (path: string) => makeBundle(fs, path, {})
  for (const path of ['WindowsImageBackup', 'WindowsImageBackup/PC', 'FileHistory', 'FileHistory/anna'])
    await folder(path)
  await folder('FileHistory/anna/LAPTOP')
  await folder('FileHistory/anna/LAPTOP/Configuration')
  await folder('WindowsImageBackup/PC/Catalog')
  const catalogue = 'WindowsImageBackup/PC/Catalog'
  const configuration = 'FileHistory/anna/LAPTOP/Configuration'
  monitor.follow([
    { name: 'win', fileSystem: fs, kinds: ['Windows image', 'File History'], staleAfterDays: 7 },
  ])
  await monitor.look()
  t.match(monitor.statuses(), [
    { kind: 'Windows image', mac: 'PC', lastCompleted: undefined },
    { kind: 'File History', mac: 'anna on LAPTOP', lastCompleted: undefined },
  ])
  now += 1000
  writtenBundles.add('windowsimagebackup/pc')
  await makeBundle(fs, catalogue, { GlobalCatalog: Buffer.from('begun') })
  await monitor.look()
  t.same(told, [], 'it may be written to at the beginning, too')
  t.match(monitor.statuses()[0], { running: true, lastCompleted: undefined })
  now += 1000
  await makeBundle(fs, catalogue, { GlobalCatalog: Buffer.from('done') })
  writtenBundles.clear()
  await monitor.look()
  await monitor.look()
  t.same(told, ['PC WindowsImageBackup/PC 2000'], 'told once')
  now += 1000
  await makeBundle(fs, configuration, { 'Catalog1.edb': Buffer.from('x'), 'Config2.xml': Buffer.from('x') })
  await monitor.look()
  t.same(told.slice(1), ['anna on LAPTOP FileHistory/anna/LAPTOP 3000'])
  now += 8 * DAY
  t.match(monitor.statuses(), [{ stale: true }, { stale: true }], 'who has stopped is told')
  await monitor.close()
})
