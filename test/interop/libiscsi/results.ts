/** What the runner of libiscsi's suite found: one test a line, and which may be left out. */

import { readFile } from 'node:fs/promises'
import { interopFile } from '../paths.ts'
import { expect } from '../report.ts'

/** `FAMILY.SUITE.TEST`. */
export type TestName = string

/** 'pass'; 'partial': some steps were skipped, and the test went on; others did not pass. */
type Verdict = 'pass' | 'partial' | 'skip' | 'fail' | 'timeout' | 'crash' | 'setup'

export interface Result {
  readonly test: TestName
  readonly verdict: Verdict
  /** The suite's own words. */
  readonly reason: string
}

/** Reads the runner's table. */
export async function readResults(file: string): Promise<readonly Result[]> {
  const [, ...lines] = (await readFile(file, 'utf8')).trimEnd().split('\n')
  return lines
    .filter((line) => !line.startsWith('#'))
    .map((line) => {
      const [test = '', verdict = ''] = line.split('\t')
      return { test, verdict: verdict as Verdict, reason: line.split('\t').at(-1) ?? '' }
    })
}

export function passes({ verdict }: Result): boolean {
  return verdict === 'pass' || verdict === 'partial'
}

/** Lines of left-out.txt: test, tab, why it cannot pass. @throws CheckError when a reason is missing */
export async function readLeftOut(): Promise<ReadonlyMap<TestName, string>> {
  const text = await readFile(interopFile('libiscsi', 'left-out.txt'), 'utf8')
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const [test = '', reason = ''] = line.split('\t')
      expect(reason !== '', `left-out.txt gives no reason for ${test}`)
      return [test, reason]
    }),
  )
}
