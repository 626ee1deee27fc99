/** `npm run bench`: this server, and Samba's or tgt, on the same files, in turns, and what two ways of doing one thing cost. */

import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { parseSize, SIZE_FORMS } from '../server/config/sizes.ts'
import { isInstalled } from '../test/interop/needs.ts'
import { projectRoot } from '../test/interop/paths.ts'
import { type ComparisonRow, compare } from './comparisons/comparison.ts'
import { measure } from './measure.ts'
import type { Peer, RunningServer } from './peers/peer.ts'
import { renderComparisons, summarizeComparison } from './report/comparison.ts'
import { writeRecord } from './report/json.ts'
import { type Row, summarize } from './report/row.ts'
import { renderTable } from './report/table.ts'
import { type Contest, contests } from './workloads/all.ts'
import type { Ground } from './workloads/workload.ts'

const DEFAULT_PAIRS = 5
const DEFAULT_FILE_BYTES = 2 * 1024 ** 3
const DEFAULT_ENTRIES = 10_000
const PASSWORD_BYTES = 12

interface Options {
  readonly pairs: number
  readonly size: number
  readonly entries: number
  readonly dir: string
}

const program = new Command('bench')
  .argument('[rows...]', `protocols, or rows whose name begins so: ${rowNames()}`)
  .option('--pairs <n>', 'runs of each server', count, DEFAULT_PAIRS)
  .option('--size <bytes>', 'size of the large file', size, DEFAULT_FILE_BYTES)
  .option('--entries <n>', 'files in the folder that is listed', count, DEFAULT_ENTRIES)
  .option('--dir <folder>', 'where files and state are kept during the run', tmpdir())
  .action(bench)

await program.parseAsync()

function count(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('a number from 1 is needed')
  return value
}

function size(text: string): number {
  const bytes = parseSize(text)
  if (bytes === undefined || bytes < 1) throw new InvalidArgumentError(SIZE_FORMS)
  return bytes
}

function rowNames(): string {
  return contests
    .flatMap(({ protocol, workloads, comparisons }) => [
      protocol,
      ...[...workloads, ...comparisons].map(({ name }) => name),
    ])
    .join(', ')
}

async function bench(rows: string[], options: Options): Promise<void> {
  const selected = contests
    .map((contest) => select(contest, rows))
    .filter(({ workloads, comparisons }) => workloads.length + comparisons.length > 0)
  if (selected.length === 0) program.error(`there is no row ${rows.join(', ')}`, { exitCode: 2 })
  const missing = selected.flatMap(({ clients }) => clients).filter((client) => !isInstalled(client))
  if (missing.length > 0) program.error(`not installed: ${missing.join(', ')}; run: npm run setup:peers`)
  const base = await mkdtemp(join(resolve(options.dir), 'poolhouse-bench-'))
  const running: RunningServer[] = []
  const cleanUp = async () => {
    await stopAll(running)
    await rm(base, { recursive: true, force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void cleanUp().finally(() => process.exit(1)))
  }
  try {
    const ground = await makeGround(base, options)
    const results: Results[] = []
    for (const contest of selected) {
      results.push(await hold(contest, { base, ground, running, pairs: options.pairs }))
      await stopAll(running)
    }
    await report(results, options)
  } finally {
    await cleanUp()
  }
}

function select(contest: Contest, rows: readonly string[]): Contest {
  if (rows.length === 0 || rows.includes(contest.protocol)) return contest
  const isSelected = ({ name }: { readonly name: string }) => rows.some((row) => name.startsWith(row))
  return {
    ...contest,
    workloads: contest.workloads.filter(isSelected),
    comparisons: contest.comparisons.filter(isSelected),
  }
}

async function stopAll(running: RunningServer[]): Promise<void> {
  await Promise.all(running.splice(0).map((server) => server.stop()))
}

interface Venue {
  readonly base: string
  readonly ground: Ground
  readonly running: RunningServer[]
  readonly pairs: number
}

interface Results {
  readonly rows: readonly Row[]
  readonly compared: readonly ComparisonRow[]
}

async function hold(contest: Contest, { base, ground, running, pairs }: Venue): Promise<Results> {
  const directory = join(base, contest.protocol)
  await mkdir(directory)
  const missing = contest.peer.missing()
  if (missing !== undefined) console.log(`${contest.peer.name} is left out: ${missing}`)
  for (const workload of contest.workloads) await workload.prepare(ground)
  const ours = await start(contest.ours, directory, ground, running)
  const peer = missing === undefined ? await start(contest.peer, directory, ground, running) : undefined
  const results = { rows: [] as Row[], compared: [] as ComparisonRow[] }
  for (const workload of contest.workloads) {
    console.log(`${workload.name} ...`)
    results.rows.push(await measure(workload, ground, { ours, peer }, pairs))
  }
  for (const comparison of contest.comparisons) {
    console.log(`${comparison.name} ...`)
    results.compared.push(await compare(comparison, ground, { ours, peer }, pairs))
  }
  return results
}

async function makeGround(base: string, options: Options): Promise<Ground> {
  const [data, local] = [join(base, 'data'), join(base, 'local')]
  await mkdir(data)
  await mkdir(local)
  // Names of system users: both servers act as them.
  const account = { name: userInfo().username, password: randomBytes(PASSWORD_BYTES).toString('hex') }
  return { data, local, account, fileBytes: options.size, entries: options.entries }
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

async function report(results: readonly Results[], options: Options): Promise<void> {
  const [rows, compared] = [results.flatMap((each) => each.rows), results.flatMap((each) => each.compared)]
  if (rows.length > 0) console.log(renderTable(rows))
  if (compared.length > 0) console.log(renderComparisons(compared))
  const description = { pairs: options.pairs, fileBytes: options.size, entries: options.entries }
  const directory = join(projectRoot, 'bench', 'out')
  console.log(`written to ${await writeRecord(directory, rows, compared, description)}`)
  const summaries = [...rows.map(summarize), ...compared.map(summarizeComparison)]
  if (summaries.some(({ failures }) => failures.length > 0)) process.exitCode = 1
}
