/** libiscsi's suite (iscsi-test-cu): every test, over several kinds of disk, with and without digests and CHAP; and qemu-img. */

import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { passes, type Result, readLeftOut, readResults, type TestName } from './libiscsi/results.ts'
import { libiscsiRunner, needs } from './needs.ts'
import { freePort } from './ports.ts'
import { run, succeed } from './process.ts'
import { expect, type Report } from './report.ts'
import { against, startServer } from './server.ts'
import { lastLines, type Server, type Target } from './server-process.ts'
import type { Suite } from './suite.ts'

const runSeconds = 900
const convertSeconds = 300
/** SANITIZE OVERWRITE of a whole disk takes longer than all else. */
const testSeconds = 150

export const libiscsiSuite: Suite = {
  name: 'libiscsi',
  about: "libiscsi's suite of tests, and qemu-img with its driver",
  needs: [needs.libiscsi, needs.libiscsiRunner, needs.qemuImg],
  bearsCompany: true,
  limitSeconds: runSeconds + convertSeconds + 60,
  run: libiscsi,
}

/** Families that have tests of the others once more. */
const unions: readonly TestName[] = ['ALL.*', 'LINUX.*']

/** Of the suite's 230. */
const leastPassed = 225
/** Below 0x1fffff blocks: of a larger disk some tests try nothing. */
const diskSize = '1000MiB'
const diskBytes = 1000 * 1024 ** 2
const imageSize = '2GiB'
const imageBytes = 2 * 1024 ** 3

/** The kinds of disk, by LUN: no single one can pass all tests. */
const disks = {
  /** Thin, 512 bytes over blocks of 4 KiB; and removable, which no other test minds. */
  usual: 0,
  plainBlocks: 1,
  writeProtected: 2,
  largeBlocks: 3,
  /** Takes qemu-img's image. */
  spacious: 4,
} as const

/** Tests that want another disk than the usual one. */
const diskOf: Readonly<Record<TestName, number>> = {
  // It asks for the block after the first, and for an answer that begins at the next physical one.
  'SCSI.GetLBAStatus.UnmapSingle': disks.plainBlocks,
  'SCSI.ReadOnly.ReadOnlySBC': disks.writeProtected,
}

const chapUser = 'initiator'
const chapSecret = 'fourteen-bytes'

/** One way to the same kinds of disks. */
interface Way {
  readonly name: string
  readonly keys: Readonly<Record<string, string>>
  readonly isChap?: true
}

const plain: Way = { name: 'plain', keys: {} }
const ways: readonly Way[] = [
  plain,
  { name: 'digest', keys: { header_digest: 'required' } },
  { name: 'chap', keys: {}, isChap: true },
]

/** What all ways have. */
interface Setting {
  readonly directory: string
  readonly portals: readonly string[]
  readonly leftOut: ReadonlyMap<TestName, string>
}

async function libiscsi(report: Report, directory: string): Promise<void> {
  if (against !== 'poolhouse') {
    report.note('for this server alone: smbd has no iSCSI')
    return
  }
  const portals = [await freePort(), await freePort()].map((port) => `127.0.0.1:${port}`)
  const setting = { directory, portals, leftOut: await readLeftOut() }
  const targets = await Promise.all(ways.map((way) => makeTarget(directory, way)))
  let server: Server | undefined
  const started = await report.check('the server starts', async () => {
    const iscsi = { listen: portals, targets }
    server = await startServer({ directory: join(directory, 'server'), accounts: [], shares: [], iscsi })
  })
  if (!started || server === undefined) return
  const running = server
  await report.group('qemu-img', () => convert(report, setting))
  await Promise.all(ways.map((way) => runWay(report, setting, way)))
  await report.check('the server stops at SIGTERM', () => running.stop())
  if (report.failed > 0) report.note(`the server's log ends with:\n${lastLines(await running.log())}`)
}

function targetName({ name }: Way): string {
  return `iqn.2026-11.test.interop:${name}`
}

async function makeTarget(directory: string, way: Way): Promise<Target> {
  const folder = join(directory, 'disks', way.name)
  await mkdir(folder, { recursive: true })
  const secretFile = join(folder, 'secret')
  await writeFile(secretFile, chapSecret, { mode: 0o600 })
  // What is never written is not made by the server.
  const protectedImage = join(folder, `${disks.writeProtected}.img`)
  await writeFile(protectedImage, '')
  await truncate(protectedImage, diskBytes)
  const lun = (id: number, size = diskSize) => ({ id, path: join(folder, `${id}.img`), size })
  return {
    keys: { name: targetName(way), ...way.keys },
    ...(way.isChap ? { chap: { user: chapUser, secret_file: secretFile } } : {}),
    luns: [
      { ...lun(disks.usual), physical_block_size: 4096, removable: true },
      { ...lun(disks.plainBlocks), physical_block_size: 512 },
      { ...lun(disks.writeProtected), read_only: true },
      { ...lun(disks.largeBlocks), block_size: 4096 },
      lun(disks.spacious, imageSize),
    ],
  }
}

function urlOf(portal: string | undefined, way: Way, lun: number): string {
  const account = way.isChap ? `${chapUser}%${chapSecret}@` : ''
  return `iscsi://${account}${portal}/${targetName(way)}/${lun}`
}

/** A random image onto the disk and back. */
async function convert(report: Report, { directory, portals }: Setting): Promise<void> {
  await report.check(`an image of ${imageSize} written and read back is the same`, async () => {
    const image = join(directory, 'image')
    const back = join(directory, 'back')
    const disk = urlOf(portals[0], plain, disks.spacious)
    const options = { seconds: convertSeconds }
    const mebibytes = imageBytes / 1024 ** 2
    await succeed('dd', ['if=/dev/urandom', `of=${image}`, 'bs=1M', `count=${mebibytes}`], options)
    await succeed('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', image, disk], options)
    await succeed('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', disk, back], options)
    await succeed('cmp', [image, back], options)
    await succeed('rm', [image, back], options)
  })
}

async function runWay(report: Report, setting: Setting, way: Way): Promise<void> {
  await report.check(`${way.name}: the tests run`, async () => {
    const elsewhere = Object.keys(diskOf)
    const results = await runTests(report, setting, way, { disk: disks.usual, without: elsewhere })
    for (const [test, disk] of Object.entries(diskOf)) {
      results.push(...(await runTests(report, setting, way, { disk, only: test })))
    }
    judge(report, way.name, results, setting.leftOut)
  })
  if (way !== plain) return
  await report.check('large blocks: the tests run', async () => {
    const results = await runTests(report, setting, way, { disk: disks.largeBlocks, only: 'SCSI.*' })
    const failed = results.filter(
      (result) => !passes(result) && result.verdict !== 'skip' && !setting.leftOut.has(result.test),
    )
    for (const { test, reason } of failed) report.fail(`large blocks: ${test}`, reason)
    report.pass('large blocks: tests pass', results.filter(passes).length)
  })
}

interface Selection {
  readonly disk: number
  readonly only?: string
  readonly without?: readonly string[]
}

async function runTests(
  report: Report,
  { directory, portals }: Setting,
  way: Way,
  { disk, only, without = [] }: Selection,
): Promise<Result[]> {
  const table = join(directory, `${way.name}-${disk}.tsv`)
  const wanted = only ?? (report.filter.length === 0 ? 'SCSI.*,iSCSI.*' : report.filter.map(around).join(','))
  const urls = portals.map((portal) => urlOf(portal, way, disk))
  const omitted = ['-x', [...unions, ...without].join(',')]
  const result = await run(
    'bash',
    [libiscsiRunner, '-T', String(testSeconds), '-o', table, '-f', wanted, ...omitted, ...urls],
    {
      seconds: runSeconds,
    },
  )
  expect(result.code === 0, result.timedOut ? `not done in ${runSeconds} s` : result.stdout + result.stderr)
  expect(!(await readFile(table, 'utf8')).includes('stopped answering'), 'the target stopped answering')
  return [...(await readResults(table))]
}

/** A pattern of the runner's for what contains this. */
function around(part: string): string {
  return `*${part}*`
}

/** One line for each test that did not pass without excuse, or that is excused without need. */
function judge(
  report: Report,
  way: string,
  results: readonly Result[],
  leftOut: ReadonlyMap<TestName, string>,
): void {
  for (const result of results) {
    const { test, verdict, reason } = result
    const excuse = leftOut.get(test)
    if (passes(result) && excuse !== undefined) report.fail(`${way}: ${test} is left out but passes`, '')
    if (passes(result)) continue
    if (excuse === undefined) report.fail(`${way}: ${test}`, `${verdict}: ${reason}`)
    else report.note(`${way}: left out: ${test}: ${excuse} (${verdict}: ${reason})`)
  }
  const passed = results.filter(passes).length
  if (passed > 0) report.pass(`${way}: tests pass`, passed)
  if (report.filter.length > 0) return
  expect(passed >= leastPassed, `${passed} of ${results.length} pass, ${leastPassed} must`)
}
