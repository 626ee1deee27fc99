/** What `npm test` runs: lint, unit tests, then real clients. Installs nothing; says what it left out and why. */

import { readdirSync, rmSync } from 'node:fs'
import { chmod, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { quickStep } from '../bench/quick.ts'
import { Failures } from './failures.ts'
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
  without a step    lint, unit, interop, bench
  lint              formatting and lint rules
  unit [PART]...    unit tests and the rules of the architecture; of these, files whose path contains a PART
  interop [SUITE [GROUP]...]   real clients: ${suites.map((suite) => suite.name).join(', ')}
  bench             the short bench: a row below half its mark fails
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
const failures = new Failures()

async function main(): Promise<void> {
  const args = process.argv.slice(2)
  const isStrict = args.includes('--strict') || process.env['CI'] === 'true'
  const [step, ...selection] = args.filter((argument) => argument !== '--strict')
  if (step === undefined) {
    await lint()
    await unit([])
    const [alone, beside] = partition(suites.filter(({ onDemand }) => onDemand !== true))
    await interop(alone, [])
    await bench()
    await interop(beside, [])
  } else if (step === 'lint') {
    await lint()
  } else if (step === 'unit') {
    await unit(selection)
  } else if (step === 'interop') {
    await chosenSuites(selection)
  } else if (step === 'bench') {
    await bench()
  } else if (step === 'fuzz') {
    process.env['POOLHOUSE_FUZZ_SECONDS'] ??= String(fuzzMinutes * 60)
    await chosenSuites(['fuzz'])
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
  const again = failures.lines()
  if (again.length > 0) say(['', 'failed:', ...again].join('\n'))
  const failed = total.failed + (isStrict ? leftOut.length : 0)
  say(`${total.passed} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}

async function lint(): Promise<void> {
  heading('lint')
  const biome = join(projectRoot, 'node_modules', '.bin', 'biome')
  const code = await runStep(biome, ['ci', '--colors=off'], lintSeconds, say)
  if (code !== 0) sayFailure(`FAIL lint: exit code ${code ?? 'none'}`)
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
  const remember = failures.reader()
  const reader = new TapReader((line) => {
    remember(line)
    say(line)
  })
  const tap = join(projectRoot, 'node_modules', '.bin', 'tap')
  const code = await runStep(tap, ['--reporter=tap', ...files], unitSeconds, (line) => reader.take(line))
  const { passed, failed } = reader.totals()
  say(`${passed} assertions passed, ${failed} failed, in ${files.length} files`)
  leftOut.push(...reader.skipped.map((name) => `unit test: ${name}`))
  const brokeOff = failed === 0 && code !== 0
  if (brokeOff) sayFailure(`FAIL unit tests: no assertion failed, but the exit code is ${code ?? 'none'}`)
  count({ passed, failed: brokeOff ? 1 : failed })
}

/** The compiled files of the tests that exist as sources: `dist` may hold others from before. */
function compiledTests(): string[] {
  return readdirSync(join(projectRoot, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .sort()
    .map((path) => join('dist', 'test', `${path.slice(0, -'.ts'.length)}.js`))
}

/** Suites by name, or all that are not run on demand. */
async function chosenSuites([wanted, ...groups]: readonly string[]): Promise<void> {
  const chosen = suites.filter((suite) =>
    wanted === undefined ? suite.onDemand !== true : suite.name === wanted,
  )
  if (chosen.length === 0) {
    process.stderr.write(usage)
    process.exit(2)
  }
  for (const some of partition(chosen)) await interop(some, groups)
}

/** Those that want the machine for themselves, and those that bear company. */
function partition(some: readonly Suite[]): [alone: Suite[], beside: Suite[]] {
  return [
    some.filter(({ bearsCompany }) => bearsCompany !== true),
    some.filter(({ bearsCompany }) => bearsCompany === true),
  ]
}

/** Suites of one kind: one after the other, or a few at a time. */
async function interop(chosen: readonly Suite[], groups: readonly string[]): Promise<void> {
  const queue = chosen.filter(canRun)
  const isPrivate = privateNamespace()
  const atATime = queue[0]?.bearsCompany === true ? besideEachOther : 1
  const runNext = async (): Promise<void> => {
    for (let suite = queue.shift(); suite !== undefined; suite = queue.shift()) {
      await interopSuite(suite, groups, isPrivate)
    }
  }
  await Promise.all(Array.from({ length: atATime }, runNext))
}

/** What cannot run is left out, with a line. */
function canRun({ name, about, needs }: Pick<Suite, 'name' | 'about' | 'needs'>): boolean {
  const lacking = missing(needs)
  if (lacking.length > 0) leftOut.push(`${name} (${about}): needs ${lacking.join(', ')}`)
  return lacking.length === 0
}

/** With the machine for itself, too. */
async function bench(): Promise<void> {
  const step = quickStep()
  if (!canRun(step)) return
  heading(`${step.name}: ${step.about}`)
  count(await talliedStep(step.name, step.command, step.args, step.limitSeconds, say))
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
  const [program = '', ...args] = wrapped
  // Those that run beside each other tell their lines apart.
  const sayIts = (line: string): void =>
    say(suite.bearsCompany && !line.includes(suite.name) ? `${suite.name}: ${line}` : line)
  const tally = await talliedStep(suite.name, program, args, suite.limitSeconds, sayIts)
  remove()
  process.removeListener('exit', remove)
  count(tally)
}

/** Runs a program that says in the end what passed and failed; one that does not has failed. */
async function talliedStep(
  name: string,
  command: string,
  args: readonly string[],
  seconds: number,
  take: (line: string) => void,
): Promise<Tally> {
  let tally: Tally | undefined
  const remember = failures.reader()
  const code = await runStep(command, args, seconds, (line) => {
    const [, passed, failed] = /^[a-z-]+: (\d+) passed, (\d+) failed$/.exec(line) ?? []
    if (passed !== undefined) tally = { passed: Number(passed), failed: Number(failed) }
    remember(line)
    take(line)
  })
  if (tally !== undefined) return tally
  sayFailure(`FAIL ${name}: ended without a result, exit code ${code ?? 'none'}, limit ${seconds} s`)
  return { passed: 0, failed: 1 }
}

function count(tally: Tally): void {
  total.passed += tally.passed
  total.failed += tally.failed
}

function heading(text: string): void {
  say(`\n== ${text}`)
}

function sayFailure(line: string): void {
  failures.reader()(line)
  say(line)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

await main()
