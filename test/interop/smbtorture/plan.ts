/** Which of smbtorture's tests are wanted, how they are spread over servers, and which are excused. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { python, smbtortureRoot } from '../needs.ts'
import { interopFile } from '../paths.ts'
import { succeed } from '../process.ts'
import { expect } from '../report.ts'

/** Of a hundred tests that pass on Samba, so many may be excused. */
const maxExclusionsPerHundred = 3
/** Of these none is excused: they are what a backup stands on. */
const neverExcused = /^smb2\.(?:durable|compound|(?:lease|oplock|lock|create|streams|session|notify)\.)/
const compareSeconds = 60

/** `test` or `test [variant]`, as compare.py writes it. */
export type TestName = string

/** A line of plan.tsv. */
export interface PlanRow {
  readonly test: TestName
  readonly line: string
  /** How long the test took on Samba. */
  readonly seconds: number
}

/** Test -> why it is excluded. */
export type Exclusions = ReadonlyMap<TestName, string>

function nameOf(test: string, variant: string): TestName {
  return variant === '' || variant === '-' ? test : `${test} [${variant}]`
}

/** The rows of the tests of milestones, and of further suites, that pass on Samba, and of those that only pass here. */
export async function readPlan(
  milestones: readonly string[],
  furtherSuites: readonly string[],
  gained: ReadonlySet<TestName>,
): Promise<readonly PlanRow[]> {
  const listing = await succeed(python, [join(smbtortureRoot, 'compare.py'), '--tests', ...milestones], {
    seconds: compareSeconds,
  })
  const baseline = await readBaseline()
  const further = [...baseline].filter(([, row]) => furtherSuites.includes(row.suite) && row.passed)
  const wanted = new Set([...namesIn(linesOf(listing)), ...further.map(([name]) => name), ...gained])
  const rows = linesOf(await readFile(join(smbtortureRoot, 'plan.tsv'), 'utf8')).map((line) => {
    const [, variant = '', , , , test = ''] = line.split('\t')
    const name = nameOf(test, variant)
    return { test: name, line, seconds: baseline.get(name)?.seconds ?? 0 }
  })
  const chosen = rows.filter((row) => wanted.has(row.test))
  expect(chosen.length === wanted.size, `the plan has ${chosen.length} of the ${wanted.size} tests`)
  return chosen
}

function namesIn(lines: readonly string[]): TestName[] {
  return lines.map((line) => {
    const [test = '', variant = ''] = line.split('\t')
    return nameOf(test, variant)
  })
}

/** Lines of gained.txt: test, variant or '-', separated by tabs: tests that fail on Samba and must pass here. */
export async function readGained(): Promise<ReadonlySet<TestName>> {
  const text = await readFile(interopFile('gained.txt'), 'utf8')
  return new Set(namesIn(linesOf(text).filter((line) => !line.startsWith('#'))))
}

/** What the reference run says of a test. */
interface BaselineRow {
  readonly suite: string
  readonly passed: boolean
  readonly seconds: number
}

async function readBaseline(): Promise<ReadonlyMap<TestName, BaselineRow>> {
  const lines = linesOf(await readFile(join(smbtortureRoot, 'baseline.tsv'), 'utf8'))
  return new Map(
    lines.map((line) => {
      const [test = '', variant = '', result = '', seconds = '', , , suite = ''] = line.split('\t')
      return [nameOf(test, variant), { suite, passed: result === 'success', seconds: Number(seconds) || 0 }]
    }),
  )
}

/** Spreads the rows so that all lanes take about as long; within a lane the plan's order stays. */
export function spread(rows: readonly PlanRow[], lanes: number): readonly (readonly PlanRow[])[] {
  const loads = Array.from({ length: lanes }, () => ({ seconds: 0, rows: new Set<PlanRow>() }))
  for (const row of [...rows].sort((one, other) => other.seconds - one.seconds)) {
    const lightest = loads.reduce((best, load) => (load.seconds < best.seconds ? load : best))
    lightest.seconds += row.seconds + startSeconds
    lightest.rows.add(row)
  }
  return loads.map((load) => rows.filter((row) => load.rows.has(row)))
}

/** What starting smbtorture costs, beside the test itself. */
const startSeconds = 0.5

/**
 * Lines of exclusions.txt: test, variant or '-', reason, separated by tabs.
 * @param tests how many tests are wanted in all
 * @throws CheckError when a line lacks its reason or must not be there, or there are too many
 */
export async function readExclusions(tests: number): Promise<Exclusions> {
  const text = await readFile(interopFile('exclusions.txt'), 'utf8')
  const exclusions = new Map<TestName, string>()
  for (const line of linesOf(text).filter((each) => !each.startsWith('#'))) {
    const [test = '', variant = '', reason = ''] = line.split('\t')
    expect(reason !== '', `exclusions.txt gives no reason for ${test}`)
    expect(!neverExcused.test(test), `${test} must not be excluded`)
    exclusions.set(nameOf(test, variant), reason)
  }
  const most = Math.floor((tests * maxExclusionsPerHundred) / 100)
  expect(exclusions.size <= most, `${exclusions.size} exclusions, at most ${most} are allowed`)
  return exclusions
}

/** Lines that are not empty. */
export function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}
