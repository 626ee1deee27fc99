/** Holds a contest: starts both servers on the same files, measures row after row, and tells how far it is. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type ComparisonRow, compare } from './comparisons/comparison.ts'
import { measure } from './measure.ts'
import type { Peer, RunningServer } from './peers/peer.ts'
import { type Row, summarize } from './report/row.ts'
import { ratioText } from './report/table.ts'
import type { Contest } from './workloads/all.ts'
import type { Ground } from './workloads/workload.ts'

export interface Venue {
  readonly base: string
  readonly ground: Ground
  /** Servers that were started are put here, for whoever ends the run early. */
  readonly running: RunningServer[]
  readonly pairs: number
  /** Whether there is time to begin another row; those that there is none for are left out. */
  readonly hasTime: () => boolean
}

export interface Results {
  readonly rows: readonly Row[]
  readonly compared: readonly ComparisonRow[]
  readonly broken: readonly BrokenRow[]
}

/** A row that could not be measured: a server or a client failed. */
export interface BrokenRow {
  readonly name: string
  readonly error: string
}

export async function hold(
  contest: Contest,
  { base, ground, running, pairs, hasTime }: Venue,
): Promise<Results> {
  const { protocol, workloads, comparisons } = contest
  const directory = join(base, protocol)
  await mkdir(directory)
  const missing = contest.peer.missing()
  if (missing !== undefined) say(`${contest.peer.name} is left out: ${missing}`)
  if (workloads.length > 0) say(`${protocol}: making files for ${workloads.length} rows`)
  for (const workload of workloads) await workload.prepare(ground)
  const ours = await start(contest.ours, directory, ground, running)
  const peer = missing === undefined ? await start(contest.peer, directory, ground, running) : undefined
  const results = { rows: [] as Row[], compared: [] as ComparisonRow[], broken: [] as BrokenRow[] }
  const attempt = async (name: string, work: () => Promise<string>): Promise<void> => {
    if (!hasTime()) return say(`left out, as the time is up: ${name}`)
    const started = performance.now()
    const result = await work().catch((error: unknown) => {
      results.broken.push({ name, error: String(error) })
      return `${name}: FAIL: ${String(error)}`
    })
    const seconds = (performance.now() - started) / 1000
    const done = results.rows.length + results.compared.length + results.broken.length
    const all = workloads.length + comparisons.length
    say(`${protocol} ${done}/${all}: ${result} [${seconds.toFixed(0)} s]`)
  }
  for (const workload of workloads) {
    await attempt(workload.name, async () => {
      const row = await measure(workload, ground, { ours, peer }, pairs)
      results.rows.push(row)
      return inShort(row)
    })
  }
  for (const comparison of comparisons) {
    await attempt(comparison.name, async () => {
      results.compared.push(await compare(comparison, ground, { ours, peer }, pairs))
      return comparison.name
    })
  }
  return results
}

function inShort(row: Row): string {
  const summary = summarize(row)
  const peer = summary.peer === undefined ? '' : `, peer ${summary.peer.value.toFixed(0)}`
  const ratio = summary.ratio === undefined ? '' : `, ratio ${ratioText(summary)}`
  return `${row.name}: ${summary.ours.value.toFixed(0)} ${row.unit.name}${peer}${ratio}`
}

async function start(
  peer: Peer,
  base: string,
  ground: Ground,
  running: RunningServer[],
): Promise<RunningServer> {
  const stateDirectory = join(base, peer.name)
  await mkdir(stateDirectory, { mode: 0o700 })
  const server = await peer.start({ stateDirectory, data: ground.data, account: ground.account })
  running.push(server)
  return server
}

export async function stopAll(running: RunningServer[]): Promise<void> {
  await Promise.all(running.splice(0).map((server) => server.stop()))
}

function say(line: string): void {
  console.log(line)
}
