/** The Linux kernel's client under a random load, with the link cut and restored; all contents are compared with models. */

import { createHash, randomInt } from 'node:crypto'
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { alice } from './environment.ts'
import { runInLab } from './lab.ts'
import { needs } from './needs.ts'
import { expect, type Report } from './report.ts'
import { type Ground, onGround, removeAll, type Suite } from './suite.ts'

/** Booting, waiting for a client that was cut off, comparing: what a run may take beyond its load. */
const aroundSeconds = 600
const largestSeed = 2 ** 31
/** The Minshall-French form: what `mfsymlinks` makes instead of a link. */
const linkFile = { bytes: 1067, header: 'XSym\n' }

/** A load, as test/interop/lab/workload takes it from its environment. */
export interface Workload {
  readonly seconds: number
  /** When the link is cut, for how long, and how: `at:seconds:drop` or `at:seconds:refuse`. */
  readonly cuts: string
}

/** Echoes every 5 s: a client that asks every minute, the default, would hardly notice that the link was cut. */
const mountOptions = 'vers=3.1.1,seal,hard,mfsymlinks,echo_interval=5'
/** How many processes with a folder of their own, and how many on shared files. */
const workers = '4 3'

const longWorkload: Workload = {
  seconds: Number(process.env['POOLHOUSE_WORKLOAD_SECONDS'] ?? 600),
  cuts: process.env['POOLHOUSE_WORKLOAD_CUTS'] ?? '120:35:drop 330:20:refuse',
}

/** What every run has time for; without a cut, after which a client takes minutes. */
export const shortWorkload: Workload = { seconds: 60, cuts: '' }

export const kernelWorkloadSuite: Suite = {
  name: 'kernel-workload',
  about: "ten minutes of random operations of the kernel's client, the link cut twice",
  needs: [needs.qemu, needs.lab],
  onDemand: true,
  limitSeconds: longWorkload.seconds + aroundSeconds + 60,
  run: (report, directory) => onGround(report, directory, (ground) => inLab(report, ground)),
}

async function inLab(report: Report, ground: Ground): Promise<void> {
  const load = prepareWorkload(ground, longWorkload)
  await runInLab(report, {
    script: 'workload.sh',
    seconds: longWorkload.seconds + aroundSeconds,
    out: load.out,
    variables: {
      SMB_PORT: String(ground.server.port),
      SMB_SHARE: ground.share,
      SMB_USER: alice.name,
      SMB_PASS: alice.password,
      ...load.variables,
    },
  })
  await load.check(report)
}

/** A load that is going to be run in the lab. */
interface PreparedWorkload {
  readonly variables: Readonly<Record<string, string>>
  /** Where the machine's /out must be copied to. */
  readonly out: string
  /** Compares the server's files with the models, and removes them. */
  check(report: Report): Promise<void>
}

export function prepareWorkload(ground: Ground, { seconds, cuts }: Workload): PreparedWorkload {
  const seed = process.env['POOLHOUSE_WORKLOAD_SEED'] ?? String(randomInt(largestSeed))
  const out = join(ground.local, 'workload')
  const folder = join(ground.sharePath, 'workload')
  return {
    variables: {
      WORKLOAD_OPTIONS: process.env['POOLHOUSE_WORKLOAD_OPTIONS'] ?? mountOptions,
      WORKLOAD_SECONDS: String(seconds),
      WORKLOAD_CUTS: cuts,
      WORKLOAD_SEED: seed,
      WORKLOAD_WORKERS: process.env['POOLHOUSE_WORKLOAD_WORKERS'] ?? workers,
    },
    out,
    async check(report) {
      await report.check(`the server's files are as the models say (seed ${seed})`, async () => {
        const manifest = JSON.parse(await readFile(join(out, 'manifest.json'), 'utf8')) as Manifest
        await compare(folder, manifest)
      })
      await removeAll(folder)
    },
  }
}

/** Path on the share: kind, bytes, and the contents' sha256 or the link's target. */
type Manifest = Readonly<Record<string, readonly [kind: string, size: number, what: string]>>

/** @throws CheckError that names what differs */
async function compare(root: string, manifest: Manifest): Promise<void> {
  const problems: string[] = []
  const found = await readdir(root, { recursive: true })
  const unknown = found.filter((path) => path.includes('/') && manifest[path] === undefined)
  for (const path of unknown) {
    problems.push(`not expected: ${path}`)
  }
  for (const [path, expected] of Object.entries(manifest)) {
    const actual = await entryOf(join(root, path)).catch((error: Error) => [error.message])
    if (actual.join(' ') !== expected.join(' ')) {
      problems.push(`${path}: ${actual.join(' ')}, not ${expected.join(' ')}`)
    }
  }
  expect(problems.length === 0, `${problems.length} differences:\n${problems.slice(0, 10).join('\n')}`)
}

async function entryOf(path: string): Promise<readonly [string, number, string]> {
  const stat = await lstat(path)
  if (stat.isDirectory()) return ['directory', 0, '']
  if (stat.isSymbolicLink()) return ['symlink', 0, await readlink(path)]
  const data = await readFile(path)
  const text = data.toString('latin1')
  if (data.length === linkFile.bytes && text.startsWith(linkFile.header)) {
    // Header, length and digest of the target in lines of their own, then the target.
    return ['symlink', 0, data.toString('utf8').split('\n')[3] ?? '']
  }
  return ['file', data.length, createHash('sha256').update(data).digest('hex')]
}
