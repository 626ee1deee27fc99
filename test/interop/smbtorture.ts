/** Samba's smbtorture: the tests of some milestones that pass on Samba, on a few servers at a time. */

import { join } from 'node:path'
import { makeAccounts, mountImage } from './environment.ts'
import { needs } from './needs.ts'
import type { Report } from './report.ts'
import { lastLines } from './server-process.ts'
import { Lane, type LaneDirectories, type Result } from './smbtorture/lane.ts'
import {
  type Exclusions,
  type PlanRow,
  readExclusions,
  readGained,
  readPlan,
  spread,
  type TestName,
} from './smbtorture/plan.ts'
import type { Suite } from './suite.ts'

const milestones = ['core', 'semantics', 'apple']
/** Of no milestone, but about what Macs and Windows find on a disk. */
const furtherSuites = ['vfs.acl_xattr', 'vfs.unfruit', 'smb2.twrp']
/** Most tests wait most of their time, so more of them than processors run at a time. */
const laneCount = 3
const runSeconds = 1200
const repeatSeconds = 600
/** More failures than this are no matter of chance: they are not tried again. */
const maxRepeated = 12
const GiB = 1024 ** 3

export const smbtortureSuite: Suite = {
  name: 'smbtorture',
  about: `smbtorture's tests of milestones ${milestones.join(', ')}`,
  needs: [needs.smbtorture, needs.net, needs.plan, needs.root, needs.xfs, needs.btrfs],
  limitSeconds: runSeconds + repeatSeconds + 120,
  run: smbtorture,
}

async function smbtorture(report: Report, directory: string): Promise<void> {
  const gained = await readGained()
  const everything = await readPlan(milestones, furtherSuites, gained)
  const exclusions = await readExclusions(everything.length - gained.size)
  const { filter } = report
  const rows = everything.filter(
    ({ test }) => filter.length === 0 || filter.some((part) => test.includes(part)),
  )
  const lanes = await startLanes(report, directory, Math.min(laneCount, rows.length))
  await report.check(`smbtorture runs ${rows.length} tests`, async () => {
    const parts = spread(rows, lanes.length)
    const run = lanes.map((lane, index) => lane.run(parts[index] ?? [], runSeconds))
    const results = (await Promise.all(run)).flat()
    judge(report, rows, await repeated(report, lanes, rows, results), { exclusions, gained })
  })
  for (const server of lanes.flatMap((lane) => lane.servers)) {
    const stopped = await report.check('the server stops at SIGTERM', () => server.stop())
    if (!stopped) report.note(`the server's log ends with:\n${lastLines(await server.log())}`)
  }
}

async function startLanes(report: Report, directory: string, count: number): Promise<readonly Lane[]> {
  const owner = await makeAccounts(directory)
  const data = join(directory, 'data')
  const btrfs = join(directory, 'btrfs')
  await mountImage('xfs', 6 * GiB, data)
  await mountImage('btrfs', 4 * GiB, btrfs)
  const lanes: Lane[] = []
  await report.check(`${count} pairs of servers start`, async () => {
    for (let lane = 0; lane < count; lane++) {
      const name = `lane${lane}`
      const directories: LaneDirectories = {
        base: join(directory, name),
        data: join(data, name),
        btrfs: join(btrfs, name),
      }
      lanes.push(await Lane.start(directories, owner))
    }
  })
  return lanes
}

/**
 * Tests measure times, and beside others on a slow machine some fail for that alone (the reference
 * run had such): the few that failed get a second chance, alone, and the report says so.
 */
async function repeated(
  report: Report,
  [lane]: readonly Lane[],
  rows: readonly PlanRow[],
  results: readonly Result[],
): Promise<readonly Result[]> {
  const failed = new Set(results.filter(({ result }) => result !== 'success').map(({ test }) => test))
  if (lane === undefined || failed.size === 0 || failed.size > maxRepeated) return results
  const again = await lane.run(
    rows.filter(({ test }) => failed.has(test)),
    repeatSeconds,
  )
  for (const { test, result } of again) {
    if (result === 'success') report.note(`${test} failed beside others and passed alone`)
  }
  return [...results.filter(({ test }) => !failed.has(test)), ...again]
}

/** What is known of the tests beforehand. */
interface Expectations {
  readonly exclusions: Exclusions
  readonly gained: ReadonlySet<TestName>
}

/** One line for each test that fails without excuse, or that is excused without need. */
function judge(
  report: Report,
  rows: readonly PlanRow[],
  results: readonly Result[],
  { exclusions, gained }: Expectations,
): void {
  const byTest = new Map<TestName, Result>(results.map((result) => [result.test, result]))
  const passed: TestName[] = []
  for (const { test } of rows) {
    const { result, reason } = byTest.get(test) ?? { result: 'not run', reason: '' }
    const excuse = exclusions.get(test)
    if (result === 'success') {
      passed.push(test)
      if (excuse !== undefined)
        report.fail(`${test} is excluded but passes`, 'remove its line from exclusions.txt')
    } else if (excuse === undefined) {
      report.fail(test, `${result} ${reason}`)
    } else {
      report.note(`excluded: ${test}: ${excuse} (${result} ${reason})`)
    }
  }
  const beyond = passed.filter((test) => gained.has(test)).length
  const wanted = rows.filter(({ test }) => !gained.has(test)).length
  const alsoOnSamba = passed.length - beyond
  if (alsoOnSamba > 0)
    report.pass(`${alsoOnSamba} of ${wanted} tests that pass on Samba pass here`, alsoOnSamba)
  if (beyond > 0) report.pass(`${beyond} tests that fail on Samba pass here`, beyond)
}
