/** `npm run bench`: this server and Samba's on the same files, in turns, and what two ways of doing one thing cost. */

import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { parseSize, SIZE_FORMS } from '../server/config/sizes.ts'
import { isInstalled } from '../test/interop/needs.ts'
import { projectRoot } from '../test/interop/paths.ts'
import { comparisons } from './comparisons/all.ts'
import { type Comparison, type ComparisonRow, compare } from './comparisons/comparison.ts'
import { type Contestants, measure } from './measure.ts'
import type { Peer, RunningServer } from './peers/peer.ts'
import { poolhouse } from './peers/poolhouse.ts'
import { smbd } from './peers/smbd.ts'
import { renderComparisons, summarizeComparison } from './report/comparison.ts'
import { writeRecord } from './report/json.ts'
import { type Row, summarize } from './report/row.ts'
import { renderTable } from './report/table.ts'
import { workloads } from './workloads/all.ts'
import type { Ground, Workload } from './workloads/workload.ts'

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
  .argument(
    '[rows...]',
    `rows whose name begins so: ${[...workloads, ...comparisons].map(({ name }) => name).join(', ')}`,
  )
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

async function bench(rows: string[], options: Options): Promise<void> {
  const isSelected = ({ name }: { readonly name: string }) =>
    rows.length === 0 || rows.some((row) => name.startsWith(row))
  const selected = { workloads: workloads.filter(isSelected), comparisons: comparisons.filter(isSelected) }
  if (selected.workloads.length + selected.comparisons.length === 0)
    program.error(`there is no row ${rows.join(', ')}`, { exitCode: 2 })
  if (!isInstalled('smbclient')) program.error('smbclient is not installed; run: npm run setup:peers')
  const missing = smbd.missing()
  if (missing !== undefined) console.log(`smbd is left out: ${missing}`)
  const base = await mkdtemp(join(resolve(options.dir), 'poolhouse-bench-'))
  const running: RunningServer[] = []
  const cleanUp = async () => {
    await Promise.all(running.splice(0).map((server) => server.stop()))
    await rm(base, { recursive: true, force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void cleanUp().finally(() => process.exit(1)))
  }
  try {
    const ground = await makeGround(base, options)
    const ours = await start(poolhouse, base, ground, running)
    const peer = missing === undefined ? await start(smbd, base, ground, running) : undefined
    const contestants = { ours, peer }
    const measured = await measureAll(selected.workloads, ground, contestants, options.pairs)
    await report(
      measured,
      await compareAll(selected.comparisons, ground, contestants, options.pairs),
      options,
    )
  } finally {
    await cleanUp()
  }
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

async function measureAll(
  selected: readonly Workload[],
  ground: Ground,
  contestants: Contestants,
  pairs: number,
): Promise<Row[]> {
  const rows: Row[] = []
  for (const workload of selected) {
    console.log(`${workload.name} ...`)
    rows.push(await measure(workload, ground, contestants, pairs))
  }
  return rows
}

async function compareAll(
  selected: readonly Comparison[],
  ground: Ground,
  contestants: Contestants,
  pairs: number,
): Promise<ComparisonRow[]> {
  const rows: ComparisonRow[] = []
  for (const comparison of selected) {
    console.log(`${comparison.name} ...`)
    rows.push(await compare(comparison, ground, contestants, pairs))
  }
  return rows
}

async function report(
  rows: readonly Row[],
  compared: readonly ComparisonRow[],
  options: Options,
): Promise<void> {
  if (rows.length > 0) console.log(renderTable(rows))
  if (compared.length > 0) console.log(renderComparisons(compared))
  const description = { pairs: options.pairs, fileBytes: options.size, entries: options.entries }
  const directory = join(projectRoot, 'bench', 'out')
  console.log(`written to ${await writeRecord(directory, rows, compared, description)}`)
  const summaries = [...rows.map(summarize), ...compared.map(summarizeComparison)]
  if (summaries.some(({ failures }) => failures.length > 0)) process.exitCode = 1
}
