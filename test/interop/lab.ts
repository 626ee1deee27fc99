/** Scripts in the lab's virtual machine: their checks, which they print as the suites do, become the suite's. */

import { LineReader } from './lines.ts'
import { labCommand } from './needs.ts'
import { interopFile } from './paths.ts'
import { describe, run } from './process.ts'
import { expect, type Report } from './report.ts'

/** What the run's end itself may take, once the script's time is over. */
const endSeconds = 60

/** Linux clients; or OpenZFS, with a project's folder. */
export type LabMachine = { readonly kind: 'client' } | { readonly kind: 'zfs'; readonly project: string }

export interface LabRun {
  /** Absent: the one with the clients. */
  readonly machine?: LabMachine
  /** Below test/interop/lab. */
  readonly script: string
  readonly variables: Readonly<Record<string, string>>
  /** The whole run is stopped after this. */
  readonly seconds: number
  /** Where the machine's /out is copied to. */
  readonly out?: string
  /** Told each line of the script's output that is no check. */
  readonly onLine?: (line: string) => void
}

/** Runs a script in one of the machines. */
export async function runInLab(
  report: Report,
  { script, machine = { kind: 'client' }, variables, seconds, out, onLine }: LabRun,
): Promise<void> {
  const assignments = Object.entries(variables).flatMap(([name, value]) => ['-e', `${name}=${value}`])
  const files = out === undefined ? [] : ['-o', out]
  const limits = ['-t', String(seconds - endSeconds)]
  const project = machine.kind === 'zfs' ? [machine.project] : []
  const args = [machine.kind, ...limits, ...files, ...assignments, interopFile('lab', script), ...project]
  const lines = new LineReader((line) => takeOver(report, line, onLine))
  const result = await run(labCommand, args, {
    seconds,
    env: { LAB_KEEP_RUNS: '50' },
    onOutput: (text) => lines.push(text),
  })
  lines.end()
  await report.check(`${script}: the machine ran to its end`, () => {
    expect(result.code === 0 || result.code === 1, describe(labCommand, args, result, seconds))
  })
}

function takeOver(report: Report, line: string, onLine: LabRun['onLine']): void {
  const [, verdict, title] = /^(ok {3}|FAIL )(.*)$/.exec(line) ?? []
  if (title === undefined) {
    process.stdout.write(`${line}\n`)
    onLine?.(line)
  } else if (verdict === 'FAIL ') {
    report.fail(title, '')
  } else {
    report.pass(title)
  }
}
