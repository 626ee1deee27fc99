/** Samba's smbtorture: the tests of a milestone that pass on Samba, run and compared by the peers' own scripts. */

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { alice, bob, makeAccounts, makeShareDirectory, mountImage, nasAdministrator } from './environment.ts'
import { needs, python, smbtortureRoot } from './needs.ts'
import { interopFile } from './paths.ts'
import { run, succeed } from './process.ts'
import { expect, type Report } from './report.ts'
import { startServer } from './server.ts'
import { lastLines, type Server, type Share } from './server-process.ts'
import type { Suite } from './suite.ts'

const milestones = ['core']
const maxExclusions = 6
const runSeconds = 1200
const compareSeconds = 60
const GiB = 1024 ** 3

/** The plan names this share where it wants a second server that insists on signing. */
const signingShare = '@alt'

export const smbtortureSuite: Suite = {
  name: 'smbtorture',
  about: `smbtorture's tests of milestone ${milestones.join(', ')}`,
  needs: [needs.smbtorture, needs.plan, needs.root, needs.xfs, needs.btrfs],
  limitSeconds: runSeconds + 120,
  run: smbtorture,
}

/** `test` or `test [variant]`, as the reports write it -> why it is excluded. */
type Exclusions = ReadonlyMap<string, string>

async function smbtorture(report: Report, directory: string): Promise<void> {
  const data = join(directory, 'data')
  const btrfs = join(directory, 'btrfs')
  const owner = await makeAccounts(directory)
  await mountImage('xfs', 6 * GiB, data)
  await mountImage('btrfs', 2 * GiB, btrfs)
  for (const path of [
    join(data, 'share'),
    join(data, 'shadow'),
    join(data, 'signing'),
    join(btrfs, 'share'),
  ]) {
    await makeShareDirectory(path, owner)
  }
  await makeShareDirectory(join(data, 'noperm'), undefined, 0)
  const servers: Server[] = []
  const started = await report.check('two servers start', async () => {
    servers.push(await mainServer(join(directory, 'main'), data, btrfs))
    servers.push(await signingServer(join(directory, 'signing'), data))
  })
  const [main, signing] = servers
  if (started && main !== undefined && signing !== undefined) {
    await runPlan(report, directory, { main: main.port, signing: signing.port })
  }
  for (const server of servers) {
    await report.check('the server stops at SIGTERM', () => server.stop())
    if (report.failed > 0) {
      report.note(`the server's log ends with:\n${lastLines(await server.log())}`)
    }
  }
}

/** The shares that the milestone's tests name; samba/smb.conf.in says what each is. */
function mainServer(directory: string, data: string, btrfs: string): Promise<Server> {
  const main = join(data, 'share')
  const shares: Share[] = [
    { name: 'share', path: main },
    { name: 'tmpenc', path: main, encryption: 'required' },
    { name: 'aio', path: main },
    { name: 'compound_find', path: main },
    { name: 'dosmode', path: main, hide_dot_files: true, hide_files: ['hidefile'] },
    { name: 'fs_specific', path: join(btrfs, 'share') },
    { name: 'shadow_write', path: join(data, 'shadow') },
    { name: 'noperm', path: join(data, 'noperm') },
  ]
  return startServer({
    directory,
    accounts: [alice, bob, nasAdministrator],
    shares,
    smb: { smbtorture_fsctls: true },
  })
}

function signingServer(directory: string, data: string): Promise<Server> {
  const shares: Share[] = [{ name: 'share', path: join(data, 'signing') }]
  return startServer({ directory, accounts: [alice], shares, smb: { signing: 'required' } })
}

async function runPlan(
  report: Report,
  directory: string,
  ports: { readonly main: number; readonly signing: number },
): Promise<void> {
  const exclusions = await readExclusions()
  const plan = join(directory, 'plan.tsv')
  const results = join(directory, 'results.tsv')
  const shareMap = join(directory, 'shares.tsv')
  const wanted = await planOf(plan)
  await writeFile(shareMap, `${signingShare}\tshare:${ports.signing}\n`)
  await report.check(`smbtorture runs ${wanted} tests`, async () => {
    const args = [
      ...[
        '-H',
        '127.0.0.1',
        '-p',
        String(ports.main),
        '-s',
        'share',
        '-P',
        plan,
        '-o',
        results,
        '-m',
        shareMap,
      ],
      ...['-u', alice.name, '-w', alice.password, '-U', bob.name, '-W', bob.password],
      ...['-A', nasAdministrator.name, '-B', nasAdministrator.password],
      ...[
        '-C',
        `find ${join(directory, 'data', 'share')} ${join(directory, 'btrfs', 'share')} -mindepth 1 -delete`,
      ],
      ...['-e', '--option=torture:sharedelay=100000 --option=torture:writetimeupdatedelay=500000'],
    ]
    await succeed(join(smbtortureRoot, 'run.sh'), args, {
      seconds: runSeconds,
      env: { SMBTORTURE_DIR: join(directory, 'torture') },
    })
  })
  await compare(report, results, exclusions)
}

/** Holds the results against Samba's: one line for each test that it passes and we do not, or that is excluded without need. */
async function compare(report: Report, results: string, exclusions: Exclusions): Promise<void> {
  const args = [join(smbtortureRoot, 'compare.py'), results, ...milestones]
  const { stdout, stderr } = await run(python, args, { seconds: compareSeconds })
  const summary = /^(\d+) of (\d+) that Samba passes$/m.exec(stdout)
  if (summary === null) {
    report.fail('compare.py', stdout + stderr)
    return
  }
  const missed = new Map<string, string>()
  for (const line of stdout.split('\n').filter((text) => text.startsWith('MISS\t'))) {
    const [, , , test = '', result = '', reason = ''] = line.split('\t')
    missed.set(test, `${result} ${reason}`.trim())
  }
  for (const [test, why] of missed) {
    const excuse = exclusions.get(test)
    if (excuse === undefined) {
      report.fail(test, why)
    } else {
      report.note(`excluded: ${test}: ${excuse} (${why})`)
    }
  }
  for (const test of exclusions.keys()) {
    if (!missed.has(test)) {
      report.fail(`${test} is excluded but passes`, 'remove its line from exclusions.txt')
    }
  }
  report.pass(`${summary[1]} of ${summary[2]} tests that pass on Samba pass here`, Number(summary[1]))
}

/** Writes the plan's rows of the milestone's tests. @returns how many */
async function planOf(path: string): Promise<number> {
  const listing = await succeed(python, [join(smbtortureRoot, 'compare.py'), '--tests', ...milestones], {
    seconds: compareSeconds,
  })
  const wanted = new Set(listing.split('\n').filter((line) => line !== ''))
  const rows = (await readFile(join(smbtortureRoot, 'plan.tsv'), 'utf8')).trimEnd().split('\n')
  const chosen = rows.filter((row) => {
    const [, variant, , , , test] = row.split('\t')
    return wanted.has(`${test}\t${variant === '-' ? '' : variant}`)
  })
  expect(
    chosen.length === wanted.size,
    `the plan has ${chosen.length} of the milestone's ${wanted.size} tests`,
  )
  await writeFile(path, `${chosen.join('\n')}\n`)
  return chosen.length
}

/** Lines of exclusions.txt: test, variant or '-', reason, separated by tabs. @throws CheckError when one lacks its reason or there are too many */
async function readExclusions(): Promise<Exclusions> {
  const text = await readFile(interopFile('exclusions.txt'), 'utf8')
  const exclusions = new Map<string, string>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) {
      continue
    }
    const [test = '', variant = '', reason = ''] = line.split('\t')
    expect(reason !== '', `exclusions.txt gives no reason for ${test}`)
    exclusions.set(variant === '-' ? test : `${test} [${variant}]`, reason)
  }
  expect(
    exclusions.size <= maxExclusions,
    `${exclusions.size} exclusions, at most ${maxExclusions} are allowed`,
  )
  return exclusions
}
