/** Samba's smbclient in each dialect, signed and encrypted: the tree of files, listing, rename, truncate, delete. */

import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { alice } from './environment.ts'
import { needs } from './needs.ts'
import { type RunResult, run, succeed } from './process.ts'
import { expect, type Report } from './report.ts'
import { type Ground, onGround, removeAll, type Suite } from './suite.ts'
import {
  expectSame,
  type Fingerprint,
  fingerprint,
  largeFile,
  makeTree,
  manyFiles,
  manyFolder,
  noise,
  unicodeFolder,
  unicodeNames,
} from './tree.ts'

const transferSeconds = 300
const shortSeconds = 60

interface Mode {
  readonly name: string
  readonly dialect: string
  readonly protection?: 'sign' | 'encrypt'
}

const dialects = ['SMB2_02', 'SMB2_10', 'SMB3_00', 'SMB3_02', 'SMB3_11']
const modes: readonly Mode[] = [
  ...dialects.map((dialect): Mode => ({ name: dialect, dialect })),
  ...dialects.map((dialect): Mode => ({ name: `${dialect} signed`, dialect, protection: 'sign' })),
  ...dialects
    .slice(2)
    .map((dialect): Mode => ({ name: `${dialect} encrypted`, dialect, protection: 'encrypt' })),
]

/** Modes that also write the large file and the many small ones; the others differ from one of these only in the signing or cipher. */
const fullModes = [...dialects, 'SMB3_11 signed', 'SMB3_11 encrypted']

/** A way of calling smbclient on one server. */
type Client = (
  script: string,
  options?: { readonly seconds?: number; readonly cwd?: string },
) => Promise<string>

export const smbclientSuite: Suite = {
  name: 'smbclient',
  about: "Samba's smbclient: every dialect, signed and encrypted",
  needs: [needs.smbclient],
  bearsCompany: true,
  limitSeconds: 1200,
  run: (report, directory) => onGround(report, directory, (ground) => allModes(report, ground)),
}

async function allModes(report: Report, ground: Ground): Promise<void> {
  const trees = { full: join(ground.local, 'full'), small: join(ground.local, 'small') }
  await makeTree(trees.full, { small: manyFiles, large: true })
  await makeTree(trees.small, { small: 100, large: false })
  const expected = { full: await fingerprint(trees.full), small: await fingerprint(trees.small) }
  await report.group('listing', () => listing(report, ground))
  for (const mode of modes) {
    const kind = fullModes.includes(mode.name) ? 'full' : 'small'
    await report.group(mode.name, () => oneMode(report, ground, mode, trees[kind], expected[kind]))
  }
}

async function listing(report: Report, ground: Ground): Promise<void> {
  const base = ['-s', '/dev/null', '-p', String(ground.server.port)]
  const credentials = ['-U', `${alice.name}%${alice.password}`]
  await report.check('-L lists the share', async () => {
    const output = await succeed('smbclient', [...base, ...credentials, '-L', '//127.0.0.1'], {
      seconds: shortSeconds,
    })
    expect(new RegExp(`^\\s*${ground.share}\\s+Disk`, 'm').test(output), `no share in:\n${output}`)
    expect(/^\s*IPC\$\s+IPC/m.test(output), `no IPC$ in:\n${output}`)
  })
  await report.check('a wrong password is refused', async () => {
    const wrong = ['-U', `${alice.name}%wrong`, `//127.0.0.1/${ground.share}`, '-c', 'ls']
    await refused([...base, ...wrong], 'NT_STATUS_LOGON_FAILURE')
  })
  await report.check('an unknown share is refused', async () => {
    await refused(
      [...base, ...credentials, '//127.0.0.1/nosuchshare', '-c', 'ls'],
      'NT_STATUS_BAD_NETWORK_NAME',
    )
  })
}

async function refused(args: readonly string[], status: string): Promise<void> {
  const result: RunResult = await run('smbclient', args, { seconds: shortSeconds })
  expect(result.code !== 0, 'smbclient succeeded')
  expect(result.stdout.includes(status), `no ${status} in:\n${result.stdout}${result.stderr}`)
}

async function oneMode(
  report: Report,
  ground: Ground,
  mode: Mode,
  tree: string,
  expected: Fingerprint,
): Promise<void> {
  const client = clientOf(ground, mode)
  const folder = mode.name.replaceAll(' ', '-')
  const onServer = join(ground.sharePath, folder)
  const written = await report.check(`writes ${expected.size} files`, async () => {
    await client(`mkdir ${folder}; cd ${folder}; recurse ON; prompt OFF; mput *`, {
      cwd: tree,
      seconds: transferSeconds,
    })
    expectSame(await fingerprint(onServer), expected)
  })
  if (written) {
    const back = join(ground.local, 'back')
    await report.check('reads them back', async () => {
      await removeAll(back)
      await mkdir(back)
      await client(`cd ${folder}; recurse ON; prompt OFF; mget *`, { cwd: back, seconds: transferSeconds })
      expectSame(await fingerprint(back), expected)
    })
    await removeAll(back)
    await changes(report, client, folder, onServer, ground.local)
    await report.check('counts what it lists', async () => {
      const output = await client(`ls ${folder}\\${manyFolder}\\*`)
      const count = output.match(/small-\d{5}\.txt/g)?.length ?? 0
      const wanted = [...expected.keys()].filter((path) => path.startsWith(`${manyFolder}/`)).length
      expect(count === wanted, `${count} names instead of ${wanted}`)
    })
  }
  await report.check('deletes everything', async () => {
    await client(`deltree ${folder}`, { seconds: transferSeconds })
    const left = await readdir(ground.sharePath)
    expect(left.length === 0, `left: ${left.join(', ')}`)
  })
}

/** Rename, replace by a shorter file, delete one: each looked at from the server's side. */
async function changes(
  report: Report,
  client: Client,
  folder: string,
  onServer: string,
  local: string,
): Promise<void> {
  const [first = ''] = unicodeNames
  await report.check('renames a file and a folder', async () => {
    const renamed = 'renamed \u00e9.txt'
    await client(
      `cd ${folder}; rename "${unicodeFolder}\\${first}" "${unicodeFolder}\\${renamed}"; rename "${unicodeFolder}" moved`,
    )
    const names = await readdir(join(onServer, 'moved'))
    expect(names.includes(renamed) && !names.includes(first), `after the renames: ${names.join(', ')}`)
    expect(names.length === unicodeNames.length, `${names.length} files in the renamed folder`)
  })
  await report.check('truncates a file by writing a shorter one', async () => {
    const short = noise(10, 7)
    const target = largeOrEdge(await readdir(onServer))
    await writeFile(join(local, 'short.bin'), short)
    await client(`cd ${folder}; put short.bin ${target}`)
    const size = (await stat(join(onServer, target))).size
    expect(size === short.length, `${target} has ${size} bytes instead of ${short.length}`)
  })
  await report.check('deletes a file', async () => {
    await client(`cd ${folder}; del one-byte.bin`)
    const names = await readdir(onServer)
    expect(!names.includes('one-byte.bin'), 'it is still there')
  })
}

function largeOrEdge(names: readonly string[]): string {
  return names.includes(largeFile.name) ? largeFile.name : 'above-64k.bin'
}

function clientOf(ground: Ground, mode: Mode): Client {
  const args = [
    `//127.0.0.1/${ground.share}`,
    ...['-s', '/dev/null', '-p', String(ground.server.port), '-U', `${alice.name}%${alice.password}`],
    `--option=client min protocol=${mode.dialect}`,
    `--option=client max protocol=${mode.dialect}`,
    ...(mode.protection === undefined ? [] : [`--client-protection=${mode.protection}`]),
  ]
  return async (script, options = {}) => {
    const seconds = options.seconds ?? shortSeconds
    const output = await succeed('smbclient', [...args, '-c', script], {
      seconds,
      cwd: options.cwd ?? ground.local,
    })
    expect(!output.includes('NT_STATUS_'), `smbclient reports:\n${output.slice(-2000)}`)
    return output
  }
}
