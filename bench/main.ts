/** `npm run bench`: this server, and Samba's or tgt, on the same files, in turns; two ways of one thing; and what single functions cost. */

import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { parseSize, SIZE_FORMS } from '../server/config/sizes.ts'
import { isInstalled } from '../test/interop/needs.ts'
import { hold, type Results, stopAll } from './contest.ts'
import { MICRO } from './micro/all.ts'
import { measureMicro } from './micro/measure.ts'
import type { MicroRow } from './micro/micro.ts'
import type { RunningServer } from './peers/peer.ts'
import { QUICK, QUICK_LENIENCY, QUICK_ROWS, QUICK_SECONDS, QUICK_SIZES } from './quick.ts'
import type { Measured } from './report/json.ts'
import { report } from './report/report.ts'
import { clientsOf, knownNames, type Selection, select, selectFirst } from './selection.ts'
import type { Contest } from './workloads/all.ts'
import type { Ground } from './workloads/workload.ts'

const DEFAULTS = { pairs: 5, size: 2 * 1024 ** 3, entries: 10_000, files: 2500 }
const PASSWORD_BYTES = 12

interface Options {
  readonly pairs?: number
  readonly size?: number
  readonly entries?: number
  readonly files?: number
  readonly dir: string
  readonly keep: boolean
}

type Sizes = typeof DEFAULTS

const program = new Command('bench')
  .argument(
    '[rows...]',
    `protocols, rows, or how names of rows begin; "${QUICK}": a few at small sizes; none: all. Rows: ${knownNames().join('; ')}`,
  )
  .option('--pairs <n>', `runs of each server (${DEFAULTS.pairs})`, count)
  .option('--size <bytes>', 'size of the large file, and of all bands together (2 GiB)', size)
  .option('--entries <n>', `files in the folder that is listed (${DEFAULTS.entries})`, count)
  .option('--files <n>', `small files (${DEFAULTS.files})`, count)
  .option('--dir <folder>', 'where files and state are kept during the run', tmpdir())
  .option('--keep', 'write the record to bench/history, which later runs are compared with', false)
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

async function bench(wanted: string[], options: Options): Promise<void> {
  const isQuick = wanted[0] === QUICK
  const rest = isQuick ? wanted.slice(1) : wanted
  const sizes: Sizes = { ...DEFAULTS, ...(isQuick ? QUICK_SIZES : {}), ...withoutUndefined(options) }
  const selection = selected(
    isQuick && rest.length === 0 ? () => selectFirst(QUICK_ROWS) : () => select(rest),
  )
  const missing = clientsOf(selection).filter((client) => !isInstalled(client))
  if (missing.length > 0) program.error(`not installed: ${missing.join(', ')}; run: npm run setup:peers`)
  const measured = await measureAll(selection, {
    ...{ sizes, directory: resolve(options.dir) },
    hasTime: () => !isQuick || performance.now() < QUICK_SECONDS * 1000,
  })
  const { pairs, size: fileBytes, entries, files } = sizes
  const description = { pairs, fileBytes, entries, files }
  const failed = await report(measured, {
    ...{ description, keep: options.keep, leniency: isQuick ? QUICK_LENIENCY : 1 },
  })
  if (failed > 0) process.exitCode = 1
}

function withoutUndefined({ pairs, size, entries, files }: Options): Partial<Sizes> {
  return Object.fromEntries(
    Object.entries({ pairs, size, entries, files }).filter(([, value]) => value !== undefined),
  )
}

function selected(choose: () => Selection): Selection {
  try {
    return choose()
  } catch (error) {
    return program.error((error as Error).message, { exitCode: 2 })
  }
}

interface Circumstances {
  readonly sizes: Sizes
  readonly directory: string
  readonly hasTime: () => boolean
}

async function measureAll(selection: Selection, circumstances: Circumstances): Promise<Measured> {
  const results = selection.contests.length > 0 ? await holdAll(selection, circumstances) : []
  const micros: MicroRow[] = []
  for (const [index, micro] of selection.micros.entries()) {
    console.log(`${MICRO} ${index + 1}/${selection.micros.length}: ${micro.name}`)
    micros.push(await measureMicro(micro))
  }
  return {
    rows: results.flatMap(({ rows }) => rows),
    compared: results.flatMap(({ compared }) => compared),
    broken: results.flatMap(({ broken }) => broken),
    micros,
  }
}

async function holdAll(
  { contests }: Selection,
  { sizes, directory, hasTime }: Circumstances,
): Promise<Results[]> {
  const base = await mkdtemp(join(directory, 'poolhouse-bench-'))
  const running: RunningServer[] = []
  const cleanUp = async () => {
    await stopAll(running)
    await rm(base, { recursive: true, force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void cleanUp().finally(() => process.exit(1)))
  }
  try {
    const ground = await makeGround(base, sizes)
    const results: Results[] = []
    for (const contest of contests) {
      const venue = { base, ground, running, pairs: sizes.pairs, hasTime }
      results.push(await hold(contest, venue).catch((error: unknown) => notHeld(contest, error)))
      await stopAll(running)
    }
    return results
  } finally {
    await cleanUp()
  }
}

/** A server did not start, or files could not be made: the other contests are held all the same. */
function notHeld({ protocol }: Contest, error: unknown): Results {
  console.log(`${protocol}: FAIL: ${String(error)}`)
  return { rows: [], compared: [], broken: [{ name: `all rows of ${protocol}`, error: String(error) }] }
}

async function makeGround(base: string, { size, entries, files }: Sizes): Promise<Ground> {
  const [data, local] = [join(base, 'data'), join(base, 'local')]
  await mkdir(data)
  await mkdir(local)
  // Names of system users: both servers act as them.
  const account = { name: userInfo().username, password: randomBytes(PASSWORD_BYTES).toString('hex') }
  return { data, local, account, fileBytes: size, entries, files }
}
