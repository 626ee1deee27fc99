/** What `npm test` runs: lint, unit tests, then real clients. Installs nothing; says what it left out and why. */

import { readdirSync, rmSync } from 'node:fs'
import { chmod, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { missing, namespaceArguments, privateNamespace } from './interop/needs.ts'
import { projectRoot } from './interop/paths.ts'
import type { Suite } from './interop/suite.ts'
import { suites } from './interop/suites.ts'
import { runStep } from './step.ts'
import { TapReader } from './tap-reader.ts'

const lintSeconds = 120
const unitSeconds = 900
const fuzzMinutes = 10
/** How many of the suites that bear company run at a time. */
const besideEachOther = 2

const usage = `npm test -- [--strict] [STEP]
  without a step    lint, unit, interop
  lint              formatting and lint rules
  unit [PART]...    unit tests and the rules of the architecture; of these, files whose path contains a PART
  interop [SUITE [GROUP]...]   real clients: ${suites.map((suite) => suite.name).join(', ')}
  fuzz              the fuzz suite alone, for ${fuzzMinutes} minutes (POOLHOUSE_FUZZ_SECONDS, POOLHOUSE_FUZZ_SEED)
--strict, or CI=true: what cannot run here counts as failed
`

interface Tally {
  passed: number
  failed: number
}

const total: Tally = { passed: 0, failed: 0 }
/** One line each: what did not run, and why. */
const leftOut: string[] = []

async function main(): Promise<void> {
  const args = process.argv.slice(2)
  const isStrict = args.includes('--strict') || process.env['CI'] === 'true'
  const [step, ...selection] = args.filter((argument) => argument !== '--strict')
  if (step === undefined) {
    await lint()
    await unit([])
    await interop([])
  } else if (step === 'lint') {
    await lint()
  } else if (step === 'unit') {
    await unit(selection)
  } else if (step === 'interop') {
    await interop(selection)
  } else if (step === 'fuzz') {
    process.env['POOLHOUSE_FUZZ_SECONDS'] ??= String(fuzzMinutes * 60)
    await interop(['fuzz'])
  } else {
    process.stderr.write(usage)
    process.exit(2)
  }
  finish(isStrict)
}

function finish(isStrict: boolean): void {
  if (leftOut.length > 0) {
    say('')
    for (const line of leftOut) {
      say(`left out: ${line}`)
    }
    say('npm run setup:peers (as root, on Debian) installs what is missing')
  }
  const failed = total.failed + (isStrict ? leftOut.length : 0)
  say(`${total.passed} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}

async function lint(): Promise<void> {
  heading('lint')
  const biome = join(projectRoot, 'node_modules', '.bin', 'biome')
  const code = await runStep(biome, ['ci', '--colors=off'], lintSeconds, say)
  count(code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 })
}

async function unit(parts: readonly string[]): Promise<void> {
  heading('unit tests')
  const files = compiledTests().filter(
    (file) => parts.length === 0 || parts.some((part) => file.includes(part)),
  )
  if (files.length === 0) {
    say(`no test file matches ${parts.join(' ')}`)
    count({ passed: 0, failed: 1 })
    return
  }
  const reader = new TapReader(say)
  const tap = join(projectRoot, 'node_modules', '.bin', 'tap')
  const code = await runStep(tap, ['--reporter=tap', ...files], unitSeconds, (line) => reader.take(line))
  const { passed, failed } = reader.totals()
  say(`${passed} assertions passed, ${failed} failed, in ${files.length} files`)
  leftOut.push(...reader.skipped.map((name) => `unit test: ${name}`))
  count({ passed, failed: failed === 0 && code !== 0 ? 1 : failed })
}

/** The compiled files of the tests that exist as sources: `dist` may hold others from before. */
function compiledTests(): string[] {
  return readdirSync(join(projectRoot, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .sort()
    .map((path) => join('dist', 'test', `${path.slice(0, -'.ts'.length)}.js`))
}

async function interop(selection: readonly string[]): Promise<void> {
  const [wanted, ...groups] = selection
  const chosen = suites.filter((suite) =>
    wanted === undefined ? suite.onDemand !== true : suite.name === wanted,
  )
  if (chosen.length === 0) {
    process.stderr.write(usage)
    process.exit(2)
  }
  const runnable = chosen.filter((suite) => {
    const lacking = missing(suite.needs)
    if (lacking.length > 0) leftOut.push(`${suite.name} (${suite.about}): needs ${lacking.join(', ')}`)
    return lacking.length === 0
  })
  const isPrivate = privateNamespace()
  for (const suite of runnable.filter(({ bearsCompany }) => bearsCompany !== true)) {
    await interopSuite(suite, groups, isPrivate)
  }
  const queue = runnable.filter(({ bearsCompany }) => bearsCompany === true)
  const runNext = async (): Promise<void> => {
    for (let suite = queue.shift(); suite !== undefined; suite = queue.shift()) {
      await interopSuite(suite, groups, isPrivate)
    }
  }
  await Promise.all(Array.from({ length: besideEachOther }, runNext))
}

/** Runs a suite in a process of its own, as root in a namespace of its own, with a directory that is removed afterwards. */
async function interopSuite(suite: Suite, groups: readonly string[], isPrivate: boolean): Promise<void> {
  heading(`${suite.name}: ${suite.about}`)
  const parent = process.env['POOLHOUSE_TEST_DIR'] ?? tmpdir()
  const directory = await mkdtemp(join(parent, `poolhouse-${suite.name}-`))
  // The clients act as accounts other than ours.
  await chmod(directory, 0o755)
  const remove = () => rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  process.once('exit', remove)
  const command = [
    process.execPath,
    join(import.meta.dirname, 'interop', 'main.js'),
    directory,
    suite.name,
    ...groups,
  ]
  const wrapped = isPrivate ? ['unshare', ...namespaceArguments, ...command] : command
  if (isPrivate) {
    process.env['POOLHOUSE_PRIVATE_NAMESPACE'] = '1'
  }
  let tally: Tally | undefined
  const [program = '', ...args] = wrapped
  const code = await runStep(program, args, suite.limitSeconds, (line) => {
    const [, passed, failed] = /^[a-z-]+: (\d+) passed, (\d+) failed$/.exec(line) ?? []
    if (passed !== undefined) {
      tally = { passed: Number(passed), failed: Number(failed) }
    }
    // Those that run beside each other tell their lines apart.
    say(suite.bearsCompany && !line.includes(suite.name) ? `${suite.name}: ${line}` : line)
  })
  remove()
  process.removeListener('exit', remove)
  if (tally === undefined) {
    say(
      `FAIL ${suite.name}: ended without a result, exit code ${code ?? 'none'}, limit ${suite.limitSeconds} s`,
    )
  }
  count(tally ?? { passed: 0, failed: 1 })
}

function count(tally: Tally): void {
  total.passed += tally.passed
  total.failed += tally.failed
}

function heading(text: string): void {
  say(`\n== ${text}`)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

await main()
