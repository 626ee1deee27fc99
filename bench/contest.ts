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
}

export interface Results {
  readonly rows: readonly Row[]
  readonly compared: readonly ComparisonRow[]
}

export async function hold(contest: Contest, { base, ground, running, pairs }: Venue): Promise<Results> {
  const { protocol, workloads, comparisons } = contest
  const directory = join(base, protocol)
  await mkdir(directory)
  const missing = contest.peer.missing()
  if (missing !== undefined) say(`${contest.peer.name} is left out: ${missing}`)
  say(`${protocol}: making files for ${workloads.length} rows`)
  for (const workload of workloads) await workload.prepare(ground)
  const ours = await start(contest.ours, directory, ground, running)
  const peer = missing === undefined ? await start(contest.peer, directory, ground, running) : undefined
  const results = { rows: [] as Row[], compared: [] as ComparisonRow[] }
  for (const [index, workload] of workloads.entries()) {
    const started = performance.now()
    const row = await measure(workload, ground, { ours, peer }, pairs)
    results.rows.push(row)
    say(`${protocol} ${index + 1}/${workloads.length}: ${inShort(row)} ${since(started)}`)
  }
  for (const comparison of comparisons) {
    const started = performance.now()
    results.compared.push(await compare(comparison, ground, { ours, peer }, pairs))
    say(`${protocol}: ${comparison.name} ${since(started)}`)
  }
  return results
}

function inShort(row: Row): string {
  const summary = summarize(row)
  const peer = summary.peer === undefined ? '' : `, peer ${summary.peer.value.toFixed(0)}`
  const ratio = summary.ratio === undefined ? '' : `, ratio ${ratioText(summary)}`
  return `${row.name}: ${summary.ours.value.toFixed(0)} ${row.unit.name}${peer}${ratio}`
}

/** Seconds of wall time, with what was prepared and verified. */
function since(started: number): string {
  return `[${((performance.now() - started) / 1000).toFixed(0)} s]`
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
